"""Training examples, and batches of them in an order that a seed decides."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

Item = TypeVar("Item")

POOL = 8  # batches that are sorted by length together: little padding, and still a random order


@dataclass(frozen=True)
class Example:
    """One clip, without padding."""

    id: str
    phones: Tensor  # int64 (phones)
    bert: Tensor | None  # float32 (phones, width); None stands for zeros
    tokens: Tensor  # int64 (N), 25 per second
    speaker_embedding: Tensor  # float32 (gin), of the whole clip
    spectrogram: Tensor  # float32 (bins, frames), 50 per second
    wav: Tensor  # float32 (samples)


@dataclass(frozen=True)
class Batch:
    """Several clips, padded on the right."""

    phones: Tensor  # int64 (batch, phones)
    phone_lengths: Tensor  # int64 (batch)
    bert: Tensor | None  # float32 (batch, phones, width)
    tokens: Tensor  # int64 (batch, N)
    token_lengths: Tensor
    spectrogram: Tensor  # float32 (batch, bins, frames)
    spectrogram_lengths: Tensor
    wav: Tensor  # float32 (batch, 1, samples)
    speaker_embedding: Tensor  # float32 (batch, gin, 1)


def collate(examples: Sequence[Example], speaker_embeddings: Sequence[Tensor], device: torch.device) -> Batch:
    """Pad the examples into one batch; ``speaker_embeddings`` (gin each) condition the clips."""

    def lengths(values: Sequence[int]) -> Tensor:
        return torch.tensor(values, device=device)

    vectors = [example.bert for example in examples if example.bert is not None]  # of all, or of none
    return Batch(
        phones=pad_sequence([example.phones for example in examples], batch_first=True).to(device),
        phone_lengths=lengths([len(example.phones) for example in examples]),
        bert=pad_sequence(vectors, batch_first=True).to(device) if vectors else None,
        tokens=pad_sequence([example.tokens for example in examples], batch_first=True).to(device),
        token_lengths=lengths([len(example.tokens) for example in examples]),
        spectrogram=pad_sequence([example.spectrogram.T for example in examples], batch_first=True)
        .transpose(1, 2)
        .to(device),
        spectrogram_lengths=lengths([example.spectrogram.shape[1] for example in examples]),
        wav=pad_sequence([example.wav for example in examples], batch_first=True)[:, None].to(device),
        speaker_embedding=torch.stack(list(speaker_embeddings))[:, :, None].to(device),
    )


def epoch_order(lengths: Sequence[int], batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """Return the batches of one epoch as indices; the same seed and epoch give the same batches.

    Args:
        lengths: of the examples, in any unit.
        batch_size: of every batch but the last.
        seed: of the job.
        epoch: counted from zero.
    """
    rng = random.Random(f"{seed}/{epoch}")  # noqa: S311 -- a repeatable order, not a secret
    order = list(range(len(lengths)))
    rng.shuffle(order)
    batches: list[list[int]] = []
    for start in range(0, len(order), POOL * batch_size):
        pool = sorted(order[start : start + POOL * batch_size], key=lambda index: lengths[index])
        batches += [pool[begin : begin + batch_size] for begin in range(0, len(pool), batch_size)]
    rng.shuffle(batches)
    return batches


def divided(batch: Sequence[Item], size: int) -> list[Sequence[Item]]:
    """Return a batch in parts of at most ``size``, in its order."""
    return [batch[start : start + size] for start in range(0, len(batch), size)]
