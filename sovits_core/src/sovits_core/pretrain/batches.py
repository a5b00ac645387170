"""Batches of whole utterances of similar length, padded on the right."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from sovits_core.pretrain.data import Utterance


@dataclass(frozen=True)
class Spoken:
    """An utterance with its semantic tokens."""

    utterance: Utterance
    codes: Tensor  # int64 [tokens], 25 per second


@dataclass(frozen=True)
class Padded:
    """Rows of different lengths side by side."""

    values: Tensor
    lengths: Tensor


def pad(rows: Sequence[Tensor]) -> Padded:
    """Pad rows [length, ...] with zeros to the longest."""
    return Padded(pad_sequence(list(rows), batch_first=True), torch.tensor([len(row) for row in rows]))


def similar(spoken: list[Spoken], count: int, rng: random.Random) -> list[Spoken]:
    """Return `count` neighbours of a random place in a list that is sorted by length, so that little is padding."""
    start = rng.randrange(max(1, len(spoken) - 4 * count))
    window = spoken[start : start + 4 * count]
    return rng.sample(window, min(count, len(window)))


def by_length(spoken: list[Spoken]) -> list[Spoken]:
    """Sort for `similar`."""
    return sorted(spoken, key=lambda row: len(row.codes))
