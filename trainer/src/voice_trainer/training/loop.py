"""The steps of a training: batches in their order, checkpoints, progress, early stopping."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from voice_trainer.errors import Interrupted
from voice_trainer.job.document import TrainingJob
from voice_trainer.job.progress import ProgressWriter
from voice_trainer.job.signals import TerminationSignal
from voice_trainer.training.course import LOSSES, Course
from voice_trainer.training.examples import Batch, Example, collate, divided, epoch_order
from voice_trainer.training.finetune import Finetuner

SECONDS_BETWEEN_CHECKPOINTS = 20.0
UPLOAD_SHARE = 0.1  # of the time, at most: short epochs have no checkpoint each
STEP_SEEDS = 1_000_003


class CheckpointTimer:
    """Saves the course when it is time to."""

    def __init__(self, save: Callable[[], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._save = save
        self._clock = clock
        self._saved = clock()
        self._took = 0.0

    def step(self, *, epoch_ended: bool) -> None:
        """Save after an epoch, unless that takes too much of the time, and at the latest after 20 s."""
        passed = self._clock() - self._saved
        if passed >= SECONDS_BETWEEN_CHECKPOINTS or (epoch_ended and self._took <= UPLOAD_SHARE * passed):
            self.save()

    def save(self) -> None:
        """Save now."""
        begun = self._clock()
        self._save()
        self._saved = self._clock()
        self._took = self._saved - begun


@dataclass(frozen=True)
class Loop:
    """One training, from where its course is to its end."""

    job: TrainingJob
    finetuner: Finetuner
    learnt: Sequence[Example]
    aside: Sequence[Example]
    """Clips of early stopping."""
    course: Course
    save: Callable[[], None]
    """Puts a checkpoint of the course into the store."""

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return next(iter(self.finetuner.parameters.values())).device

    def plan(self) -> list[tuple[int, list[int]]]:
        """Return epoch (counted from 0) and clips of every step."""
        training, lengths = self.job.training, [len(example.tokens) for example in self.learnt]
        return [
            (epoch, batch)
            for epoch in range(training.epochs)
            for batch in epoch_order(lengths, training.batch_size, training.seed, epoch)
        ]

    def run(self, termination: TerminationSignal, progress: ProgressWriter) -> None:
        """Do the steps that the course does not have yet.

        Raises:
            Interrupted: SIGTERM arrived; the course is saved.
            BadData: ``TrainingDiverged``.
        """
        plan, course, patience = self.plan(), self.course, self.job.training.patience
        already, began, before = len(course.curves), time.monotonic(), course.seconds
        timer = CheckpointTimer(self.save)
        for step, (epoch, indices) in enumerate(plan[already:], start=already):
            if termination.received():
                timer.save()
                raise Interrupted
            ended = step + 1 == len(plan) or plan[step + 1][0] != epoch
            if course.is_over(patience):
                break
            self._step(step, epoch, indices)
            if ended and self.aside:
                course.note_epoch(self._loss_aside(), self.finetuner.parameters)
            course.seconds = before + time.monotonic() - began
            progress.report(step + 1, len(plan), already=already, epoch=epoch + 1, metrics=self._metrics(epoch + 1))
            if step + 1 < len(plan):
                timer.step(epoch_ended=ended)
        if termination.received():
            timer.save()
            raise Interrupted

    def keep_best(self) -> None:
        """Go back to the best epoch, where clips were set aside to tell."""
        with torch.no_grad():
            for name, value in self.course.best.items():
                self.finetuner.parameters[name].copy_(value)

    def _step(self, step: int, epoch: int, indices: Sequence[int]) -> None:
        seed = self.job.training.seed
        # Each step draws from its own seed, so that a continued training takes the same course as an unbroken one.
        torch.manual_seed(seed * STEP_SEEDS + step)  # dropout draws from the process-wide generator
        generator = torch.Generator(self.device).manual_seed(seed * STEP_SEEDS + step)
        rng = random.Random(f"{seed}/timbre/{step}")  # noqa: S311 -- repeatable, not secret
        losses = self.finetuner.step(self._batches([self.learnt[index] for index in indices], rng), generator)
        self.course.curves.append((float(epoch + 1), losses.semantic, losses.kl, losses.mel))

    def _batches(self, clips: Sequence[Example], rng: random.Random) -> list[Batch]:
        # The speaker embedding of the clip itself would leak its content; a voice is conditioned on that of its prompt.
        pairs = [(clip, rng.choice(self.learnt).speaker_embedding) for clip in clips]
        return [
            collate([clip for clip, _ in part], [embedding for _, embedding in part], self.device)
            for part in divided(pairs, self.job.micro_batch_size)
        ]

    def _loss_aside(self) -> float:
        """The loss on the clips that are set aside, with the same noise after every epoch."""
        seed = self.job.training.seed
        rng = random.Random(f"{seed}/aside")  # noqa: S311 -- as above
        return self.finetuner.measure(
            self._batches(self.aside, rng), torch.Generator(self.device).manual_seed(seed)
        ).total

    def _metrics(self, epoch: int) -> dict[str, float]:
        """Return means over the epoch so far."""
        rows = []
        for row in reversed(self.course.curves):
            if row[0] != epoch:
                break
            rows.append(row[1:])
        means = {name: statistics.fmean(row[n] for row in rows) for n, name in enumerate(LOSSES)}
        return means | ({"aside": self.course.aside[-1]} if self.course.aside else {})
