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
from tiny_base.data import Utterance
from tiny_base.tokens import phone_of_token, token_centres


@dataclass(frozen=True)
class TokenizedUtterance:
    """An utterance with its semantic tokens, 25 per second."""

    utterance: Utterance
    aligned_tokens: Tensor  # int64 [tokens], from the phone times
    encoder_tokens: Tensor  # int64 [tokens], from the encoder

    @cached_property
    def phone_index(self) -> Tensor:
        """Index among all phones (punctuation counted) of the one that each aligned token belongs to, int64 [tokens].

        A pause belongs to the phone or mark that comes next.
        """
        phones, phone_times = self.utterance.phones, self.utterance.clip.phone_times
        positions = sound_indices(phones)
        count = -1
        indices = []
        for name, _ in phone_times:
            if name != SILENCE:
                count += 1
                indices.append(positions[min(count, len(positions) - 1)])
            else:
                indices.append(positions[count] + 1 if count >= 0 else 0)
        ends = torch.tensor([end for _, end in phone_times])
        phone, _ = phone_of_token(ends, token_centres(len(self.aligned_tokens)))
        return torch.tensor(indices)[phone].clamp(max=len(phones) - 1)

    @property
    def speaker(self) -> str:
        """The clip's speaker."""
        return self.utterance.clip.speaker


@dataclass(frozen=True)
class Padded:
    """Rows of different lengths as one tensor."""

    values: Tensor
    lengths: Tensor

    def to(self, device: torch.device) -> Padded:
        """The same on a device."""
        return Padded(self.values.to(device), self.lengths.to(device))


def pad(rows: Sequence[Tensor]) -> Padded:
    """Pad rows [length, ...] with zeros to the longest."""
    return Padded(pad_sequence(list(rows), batch_first=True), torch.tensor([len(row) for row in rows]))


class LengthBucketSampler:
    """Draws batches of similar length, so that little is padding, and other clips of the same speakers."""

    def __init__(self, rows: Sequence[TokenizedUtterance], max_seconds: float, recorded_prob: float) -> None:
        """Sort utterances of at most `max_seconds`; a batch has recordings alone with probability `recorded_prob`."""
        ordered = sorted((row for row in rows if _seconds(row) <= max_seconds), key=_seconds)
        self._synthetic = [row for row in ordered if row.utterance.clip.synthetic]
        self._recorded = [row for row in ordered if not row.utterance.clip.synthetic]
        self._recorded_prob = recorded_prob if self._recorded else 0.0
        self._by_speaker: dict[str, list[TokenizedUtterance]] = defaultdict(list)
        for row in ordered:
            self._by_speaker[row.speaker].append(row)

    def draw(self, count: int, rng: random.Random) -> list[TokenizedUtterance]:
        """Return `count` utterances from a random window of the order by length."""
        rows = self._recorded if rng.random() < self._recorded_prob else self._synthetic
        start = rng.randrange(max(1, len(rows) - 4 * count))
        window = rows[start : start + 4 * count]
        return rng.sample(window, min(count, len(window)))

    def same_speaker(self, row: TokenizedUtterance, rng: random.Random) -> TokenizedUtterance:
        """Return a clip of the same speaker: most often another one, if there is one."""
        rows = self._by_speaker[row.speaker]
        found = rng.choice(rows)
        return rng.choice(rows) if found is row else found


def _seconds(row: TokenizedUtterance) -> float:
    return row.utterance.clip.seconds
