"""Curves: an epochs.csv becomes plots with round numbers at their axes."""

from pathlib import Path

import pytest

from voice_trainer.evaluation.axes import Axis, axis_around
from voice_trainer.evaluation.curves import VALIDATION_TITLE, Point, plot_curve, read_curves
from voice_trainer.stages.train import write_epochs
from voice_trainer.training.course import EpochLosses


def epochs(count: int, *, aside: bool) -> list[EpochLosses]:
    return [
        EpochLosses(
            epoch, 8, {"semantic": 4.0 / epoch, "kl": 1.0, "mel": 20.0 - epoch},
            {"semantic": 0.2, "kl": 0.0, "mel": 1.0}, 30.0 + abs(3 - epoch) if aside else None,
        )
        for epoch in range(1, count + 1)
    ]  # fmt: skip


def test_what_stage_train_wrote_is_read_with_the_validation_and_the_epoch_that_was_kept(tmp_path: Path) -> None:
    write_epochs(tmp_path / "epochs.csv", epochs(5, aside=True))
    semantic, mel, kl, validation = read_curves(tmp_path / "epochs.csv", kept=3)
    assert [point.mean for point in semantic.table] == pytest.approx([4.0, 2.0, 4 / 3, 1.0, 0.8], abs=1e-4)
    assert semantic.table[0].deviation == 0.2
    assert [one.label for one in semantic.epochs] == ["1", "2", "3", "4", "5"]
    assert mel.band
    assert not kl.band, "all steps alike"
    assert validation.title == VALIDATION_TITLE
    assert validation.kept == "50.00"


def test_without_clips_set_aside_there_is_no_validation(tmp_path: Path) -> None:
    write_epochs(tmp_path / "epochs.csv", epochs(2, aside=False))
    assert len(read_curves(tmp_path / "epochs.csv", kept=2)) == 3
    write_epochs(tmp_path / "epochs.csv", [])
    assert read_curves(tmp_path / "epochs.csv") == []


def test_a_curve_spans_its_axes_and_stays_inside() -> None:
    plot = plot_curve("loss", [Point(1, 6.0, 1.0), Point(3, 2.0, 0.0)])
    places = [tuple(map(float, pair.split(","))) for pair in f"{plot.points} {plot.band}".split()]
    assert all(0 <= across <= 100 and 0 < down < 100 for across, down in places)
    first, last = places[:2]
    assert (first[0], last[0]) == (0, 100)
    assert first[1] < last[1], "less is further down"


@pytest.mark.parametrize("points", [[Point(1, 5.0)], [Point(1, 5.0), Point(2, 5.0)], [Point(1, 0.0)]])
def test_a_curve_may_be_a_point_or_flat(points: list[Point]) -> None:
    plot = plot_curve("loss", points)
    assert len(plot.points.split()) == 2
    assert "nan" not in plot.points
    assert plot.values


@pytest.mark.parametrize(
    ("low", "high", "most", "labels"),
    [
        (0.0, 3.2, 6, ["0", "1", "2", "3 s"]),
        (0.0, 0.7, 6, ["0.0", "0.2", "0.4", "0.6 s"]),
        (0.0, 0.9, 4, ["0.0", "0.5 s"]),
        (0.0, 42.0, 6, ["0", "10", "20", "30", "40 s"]),
        (0.0, 1.0, 5, ["0.00", "0.25", "0.50", "0.75", "1.00 s"]),
    ],
)
def test_marks_are_at_round_numbers(low: float, high: float, most: int, labels: list[str]) -> None:
    assert [one.label for one in Axis(low, high).ticks(most, "s")] == labels


def test_epochs_are_whole() -> None:
    assert [one.label for one in Axis(1, 3).ticks(7, whole=True)] == ["1", "2", "3"]
    assert [one.label for one in Axis(1, 100).ticks(7, whole=True)] == ["20", "40", "60", "80", "100"]


def test_an_axis_of_one_value_has_room_around_it() -> None:
    assert axis_around(5.0, 5.0).place(5.0) == 50
