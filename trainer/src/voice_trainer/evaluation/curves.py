"""Curves of the report: the losses of a training by epoch, as its ``epochs.csv`` has them, each on axes of its own."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from voice_trainer.evaluation.axes import Axis, Tick, axis_around

LOSSES: Final[Mapping[str, str]] = {
    "semantic": "Semantic loss, nats per token",
    "mel": "Mel loss",
    "kl": "KL loss",
}
VALIDATION: Final = "aside"
VALIDATION_TITLE: Final = "Validation: all losses on clips that are set aside"


@dataclass(frozen=True)
class Point:
    """One epoch: a mean and its standard deviation over the epoch's steps."""

    epoch: int
    mean: float
    deviation: float = 0.0


@dataclass(frozen=True)
class CurvePlot:
    """A curve in a square of 100 by 100, y downwards, that is drawn as wide as there is room."""

    title: str
    points: str
    """As SVG's attribute ``points`` takes them."""
    band: str
    """A polygon of one standard deviation on both sides; empty: there is none."""
    epochs: tuple[Tick, ...]
    values: tuple[Tick, ...]
    kept: str
    """Where the epoch is that was kept, in percent; empty: the last one."""
    table: tuple[Point, ...]
    """The same for those who do not see it."""


def read_curves(path: Path, kept: int | None = None) -> list[CurvePlot]:
    """Return a plot of each loss in an ``epochs.csv``, and of the validation where clips were set aside.

    Args:
        path: the file that stage train wrote.
        kept: the epoch whose adapter was kept; None: the last one.
    """
    with path.open(newline="", encoding="utf-8") as source:
        rows = list(csv.DictReader(source))
    plots = [
        plot_curve(title, [Point(int(row["epoch"]), float(row[name]), float(row[f"{name}Deviation"])) for row in rows])
        for name, title in LOSSES.items()
    ]
    aside = [Point(int(row["epoch"]), float(row[VALIDATION])) for row in rows if row.get(VALIDATION)]
    if aside:
        plots.append(plot_curve(VALIDATION_TITLE, aside, kept))
    return [plot for plot in plots if plot.table]


def plot_curve(title: str, points: Sequence[Point], kept: int | None = None) -> CurvePlot:
    """Plot one value by epoch; a single epoch is a line through the middle, and without any there is nothing to see."""
    if not points:
        return CurvePlot(title, "", "", (), (), "", ())
    first, last = points[0].epoch, points[-1].epoch
    across = Axis(first - 0.5, last + 0.5) if first == last else Axis(first, last)
    low, high = min(one.mean - one.deviation for one in points), max(one.mean + one.deviation for one in points)
    up = axis_around(low, high)

    def at(epoch: float, value: float) -> str:
        return f"{across.place(epoch):.2f},{up.place(value):.2f}"

    shown = points if first < last else [Point(0, points[0].mean, points[0].deviation)] * 2
    places: list[float] = [one.epoch for one in points] if first < last else [across.low, across.high]
    line = [at(place, one.mean) for place, one in zip(places, shown, strict=True)]
    upper = [at(place, one.mean + one.deviation) for place, one in zip(places, shown, strict=True)]
    lower = [at(place, one.mean - one.deviation) for place, one in zip(places, shown, strict=True)]
    wide = any(one.deviation for one in points)
    return CurvePlot(
        title,
        " ".join(line),
        " ".join([*upper, *reversed(lower)]) if wide else "",
        across.ticks(7, whole=True),
        up.ticks(5),
        "" if kept is None else f"{across.place(kept):.2f}",
        tuple(points),
    )
