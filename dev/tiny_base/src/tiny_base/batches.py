"""Batches of whole utterances of similar length, padded on the right."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from sovits_core.text.phones import SILENCE, sound_indices
from tiny_base.codes import shown_segments, token_centres
from tiny_base.data import Utterance


@dataclass(frozen=True)
class Spoken:
    """An utterance with its semantic tokens, 25 per second."""

    utterance: Utterance
    codes: Tensor  # int64 [tokens], as the phone times say
    heard: Tensor  # int64 [tokens], as the encoder hears them

    @cached_property
    def place(self) -> Tensor:
        """Index among all phones (punctuation counted) of the one that each right token belongs to, int64 [tokens].

        A pause belongs to the phone or mark that comes next.
        """
        phones, segments = self.utterance.phones, self.utterance.clip.segments
        letters = sound_indices(phones)
        seen = -1
        places = []
        for name, _ in segments:
            if name != SILENCE:
                seen += 1
                places.append(letters[min(seen, len(letters) - 1)])
            else:
                places.append(letters[seen] + 1 if seen >= 0 else 0)
        ends = torch.tensor([end for _, end in segments])
        shown, _ = shown_segments(ends, token_centres(len(self.codes)))
        return torch.tensor(places)[shown].clamp(max=len(phones) - 1)

    @property
    def speaker(self) -> str:
        """Whose utterance it is."""
        return self.utterance.clip.speaker


@dataclass(frozen=True)
class Padded:
    """Rows of different lengths side by side."""

    values: Tensor
    lengths: Tensor

    def to(self, device: torch.device) -> Padded:
        """The same on a device."""
        return Padded(self.values.to(device), self.lengths.to(device))


def pad(rows: Sequence[Tensor]) -> Padded:
    """Pad rows [length, ...] with zeros to the longest."""
    return Padded(pad_sequence(list(rows), batch_first=True), torch.tensor([len(row) for row in rows]))


class Similar:
    """Draws batches of similar length, so that little is padding, and other clips of the same speakers."""

    def __init__(self, spoken: Sequence[Spoken], longest: float, recorded_share: float) -> None:
        """`longest` in seconds; recordings are few, so a share of the batches is drawn from them alone."""
        rows = sorted((row for row in spoken if _seconds(row) <= longest), key=_seconds)
        self._synthetic = [row for row in rows if row.utterance.clip.synthetic]
        self._recorded = [row for row in rows if not row.utterance.clip.synthetic]
        self._recorded_share = recorded_share if self._recorded else 0.0
        self._by_speaker: dict[str, list[Spoken]] = defaultdict(list)
        for row in rows:
            self._by_speaker[row.speaker].append(row)

    def draw(self, count: int, rng: random.Random) -> list[Spoken]:
        """Return `count` neighbours of a random place."""
        rows = self._recorded if rng.random() < self._recorded_share else self._synthetic
        start = rng.randrange(max(1, len(rows) - 4 * count))
        window = rows[start : start + 4 * count]
        return rng.sample(window, min(count, len(window)))

    def another(self, row: Spoken, rng: random.Random) -> Spoken:
        """Return a clip of the same speaker: another one, where there is one."""
        rows = self._by_speaker[row.speaker]
        found = rng.choice(rows)
        return rng.choice(rows) if found is row else found


def _seconds(row: Spoken) -> float:
    return row.utterance.clip.seconds
