"""The course of a training: losses of its steps and epochs, its early stopping, and what it cost."""

from __future__ import annotations

import random
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor

from voice_trainer.training.examples import Example

LOSSES = ("semantic", "kl", "mel")
ASIDE = 0.1  # share of the clips that early stopping sets aside

Curves = list[tuple[float, ...]]
"""A row per step: the epoch, counted from 1, and its losses."""


@dataclass
class Course:
    """How far a training is: what a checkpoint holds besides the adapter and its optimiser."""

    curves: Curves = field(default_factory=list)
    aside: list[float] = field(default_factory=list)
    """The loss on the clips that are set aside, after each epoch."""
    best: dict[str, Tensor] = field(default_factory=dict)
    """The adapter's parameters after the epoch with the lowest of these."""
    seconds: float = 0.0
    """That were spent on it, all attempts together."""

    def note_epoch(self, loss: float, parameters: Mapping[str, Tensor]) -> None:
        """Note the loss on the clips that are set aside, and keep the parameters if there was none lower."""
        if not self.aside or loss < min(self.aside):
            self.best = {name: value.detach().clone() for name, value in parameters.items()}
        self.aside.append(loss)

    def is_over(self, patience: int) -> bool:
        """Whether as many epochs as ``patience`` brought nothing better; never, where it is 0."""
        if not patience or not self.aside:
            return False
        return len(self.aside) - 1 - self.aside.index(min(self.aside)) >= patience


@dataclass(frozen=True)
class EpochLosses:
    """One epoch: mean and standard deviation of each loss over its steps."""

    epoch: int
    steps: int
    means: dict[str, float]
    deviations: dict[str, float]
    aside: float | None


def epochs_of(course: Course) -> list[EpochLosses]:
    """Return the epochs that have begun, in their order."""
    rows: dict[int, list[tuple[float, ...]]] = {}
    for row in course.curves:
        rows.setdefault(int(row[0]), []).append(row[1:])
    return [
        EpochLosses(
            epoch,
            len(found),
            {name: statistics.fmean(row[n] for row in found) for n, name in enumerate(LOSSES)},
            {name: statistics.pstdev([row[n] for row in found]) for n, name in enumerate(LOSSES)},
            course.aside[epoch - 1] if epoch <= len(course.aside) else None,
        )
        for epoch, found in sorted(rows.items())
    ]


def split(examples: Sequence[Example], patience: int, seed: int) -> tuple[list[Example], list[Example]]:
    """Return the clips to learn from, and those to set aside for early stopping; none without it.

    The clips that stage prepare holds out are others: what chooses the epoch must not also be what judges the voice.
    """
    if not patience or len(examples) < 2:
        return list(examples), []
    count = max(1, round(ASIDE * len(examples)))
    rng = random.Random(f"{seed}/aside")  # noqa: S311 -- repeatable, not secret
    chosen = set(rng.sample(range(len(examples)), count))
    learnt = [example for index, example in enumerate(examples) if index not in chosen]
    return learnt, [examples[index] for index in sorted(chosen)]
