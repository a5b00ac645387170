"""The course of a training: early stopping, curves per epoch, checkpoints in time, and parts of a batch."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from voice_trainer.training.course import Course, epochs_of, split
from voice_trainer.training.examples import divided
from voice_trainer.training.loop import CheckpointTimer


def after(*losses: float) -> Course:
    course = Course()
    for number, loss in enumerate(losses):
        course.note_epoch(loss, {"weight": torch.tensor(float(number))})
    return course


@pytest.mark.parametrize(
    ("losses", "patience", "over"),
    [
        ((), 1, False),
        ((3.0, 2.0), 1, False),
        ((2.0, 3.0), 1, True),
        ((2.0, 3.0), 2, False),
        ((2.0, 3.0, 2.5), 2, True),
        ((2.0, 3.0, 1.0), 2, False),
        ((2.0, 2.0), 1, True),
        ((2.0, 3.0, 4.0), 0, False),
    ],
)
def test_training_is_over_after_that_many_epochs_without_a_better_one(
    losses: tuple[float, ...], patience: int, over: bool
) -> None:
    assert after(*losses).is_over(patience) is over


def test_the_best_epochs_parameters_are_kept() -> None:
    assert after(3.0, 1.0, 2.0).best == {"weight": torch.tensor(1.0)}
    parameter = torch.tensor(5.0)
    course = Course()
    course.note_epoch(1.0, {"weight": parameter})
    parameter.add_(1)
    assert course.best["weight"] == 5.0, "a copy: training goes on in place"


def test_an_epoch_is_a_mean_and_a_spread_over_its_steps() -> None:
    course = Course(curves=[(1.0, 2.0, 10.0, 5.0), (1.0, 4.0, 10.0, 6.0), (2.0, 1.0, 8.0, 4.0)], aside=[7.0])
    first, second = epochs_of(course)
    assert (first.epoch, first.steps, first.aside) == (1, 2, 7.0)
    assert first.means == {"semantic": 3.0, "kl": 10.0, "mel": 5.5}
    assert first.deviations == {"semantic": 1.0, "kl": 0.0, "mel": 0.5}
    assert (second.epoch, second.steps, second.aside) == (2, 1, None)


def test_clips_are_set_aside_for_early_stopping_alone() -> None:
    clips: list[Any] = [SimpleNamespace(id=str(number)) for number in range(30)]
    assert split(clips, 0, seed=1) == (clips, [])
    learnt, aside = split(clips, 3, seed=1)
    assert (len(learnt), len(aside)) == (27, 3)
    assert sorted([*learnt, *aside], key=lambda clip: int(clip.id)) == clips
    assert split(clips, 3, seed=1) == (learnt, aside)
    assert split(clips, 3, seed=2)[1] != aside
    assert len(split(clips[:3], 1, seed=1)[1]) == 1


@pytest.mark.parametrize(("size", "parts"), [(4, [4]), (2, [2, 2]), (3, [3, 1]), (1, [1, 1, 1, 1]), (9, [4])])
def test_a_batch_is_divided_without_drops(size: int, parts: list[int]) -> None:
    found = divided(list(range(4)), size)
    assert [len(part) for part in found] == parts
    assert [item for part in found for item in part] == [0, 1, 2, 3]


def saves(steps: list[tuple[float, bool]], took: float = 0.0) -> list[float]:
    """The times at which the course was saved, given the seconds that each step took and whether it ended an epoch."""
    now, found = 0.0, []

    def save() -> None:
        nonlocal now
        now += took
        found.append(now)

    timer = CheckpointTimer(save, clock=lambda: now)
    for seconds, ended in steps:
        now += seconds
        timer.step(epoch_ended=ended)
    return found


def test_the_course_is_saved_after_each_epoch_and_within_twenty_seconds() -> None:
    assert saves([(1, False), (1, True), (1, False), (1, True)]) == [2, 4]
    assert saves([(10, False), (10, False), (10, False), (10, False)]) == [20, 40]


def test_epochs_shorter_than_ten_uploads_are_not_saved_each() -> None:
    assert saves([(1, True)] * 12, took=0.5) == [1.5, 7.0, 12.5]
