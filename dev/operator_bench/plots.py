"""A picture of the results: one panel for each figure that has a target, and for the API requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from dev.operator_bench.measure import Figures

PANEL = (460, 320)  # pixels
MARGIN = 56
INK, MUTED, BAR, SECOND, LIMIT = "#1f2430", "#8a8f98", "#2f6fde", "#9cbcf5", "#c2571a"


@dataclass(frozen=True)
class Panel:
    """One figure of each run: a bar, and a second one where there are two."""

    title: str
    bars: tuple[Callable[[Figures], float], ...]
    names: tuple[str, ...]
    target: float | None = None


PANELS = (
    Panel("resident memory, MB", (lambda run: run["rest_mb"], lambda run: run["peak_mb"]), ("at rest", "at most"), 150),
    Panel(
        "event to Job, seconds",
        (lambda run: run["event_to_job"]["outside"]["p99"], lambda run: run["event_to_job_at_once"]["outside"]["p99"]),
        ("p99", "p99, all at once"),
        2,
    ),
    Panel(
        "revocation to gone, seconds",
        (lambda run: run["revocation"]["p99"], lambda run: run["revocations_at_once"]["p99"]),
        ("p99", "p99, 50 at once"),
        5,
    ),
    Panel(
        "API requests per minute",
        (lambda run: run["rest"]["requests_per_minute"], lambda run: run["waiting"]["requests_per_minute"]),
        ("at rest", "while 1,000 Jobs wait"),
    ),
)


def draw(runs: Sequence[Figures], path: Path) -> None:
    """Draw all panels in two columns, as a PNG."""
    width, height = PANEL
    picture = Image.new("RGB", (2 * width, (len(PANELS) + 1) // 2 * height), "white")
    for number, panel in enumerate(PANELS):
        _draw_panel(ImageDraw.Draw(picture), panel, runs, (number % 2 * width, number // 2 * height))
    picture.save(path, "PNG", optimize=True)


def _draw_panel(pen: ImageDraw.ImageDraw, panel: Panel, runs: Sequence[Figures], corner: tuple[int, int]) -> None:
    left, top = corner[0] + MARGIN, corner[1] + MARGIN
    width, height = PANEL[0] - 2 * MARGIN, PANEL[1] - 2 * MARGIN
    highest = 1.1 * max([bar(run) for run in runs for bar in panel.bars] + [panel.target or 0.0]) or 1.0
    pen.text((left, top - 40), panel.title, INK, _font(15))
    pen.text((left, top - 20), " | ".join(panel.names), MUTED, _font(11))
    pen.line((left, top + height, left + width, top + height), INK)
    slot = width / len(runs)
    for number, run in enumerate(runs):
        for offset, (bar, colour) in enumerate(zip(panel.bars, (BAR, SECOND), strict=False)):
            value, wide = bar(run), slot * 0.35
            x = left + number * slot + slot * 0.12 + offset * (wide + 3)
            y = top + height - height * value / highest
            pen.rectangle((x, y, x + wide, top + height), colour)
            pen.text((x, y - 14), _short(value), INK, _font(11))
        pen.text((left + number * slot + 4, top + height + 6), _label(run), MUTED, _font(10))
    if panel.target is not None:
        y = top + height - height * panel.target / highest
        pen.line((left, y, left + width, y), LIMIT)
        pen.text((left + width + 2, y - 7), f"max {panel.target:g}", LIMIT, _font(11))


def _label(run: Figures) -> str:
    foreign = f"\n+ {run['foreign_jobs']:,} Jobs" if run["foreign_jobs"] else ""
    return f"{run['voices']:,}{foreign}"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
