"""The stages of a training: bars on a terminal, one line for each tenth of a stage elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

from dev.terminal import say


class StageDisplay(Protocol):
    """Shows how far each stage is; repeated calls are cheap."""

    def update(self, stage: str, percent: int, note: str = "") -> None:
        """Show a stage at `percent` of 100; 100 ends it."""


@contextmanager
def stage_display(stages: Sequence[str]) -> Iterator[StageDisplay]:
    """Give the display that fits: standard error decides, for results alone go to standard output."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Lines()
        return
    columns = (
        TextColumn("    {task.description:<10}"),
        BarColumn(bar_width=30),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[note]}"),
    )
    with Progress(*columns, console=console) as bars:
        yield Bars(bars, {stage: bars.add_task(stage, total=100, start=False, note="") for stage in stages})


@dataclass(frozen=True)
class Bars:
    """One bar for each stage."""

    bars: Progress
    tasks: dict[str, TaskID]

    def update(self, stage: str, percent: int, note: str = "") -> None:
        """Move the stage's bar; its clock starts with the first call."""
        task = self.tasks[stage]
        if self.bars.tasks[task].start_time is None:
            self.bars.start_task(task)
        self.bars.update(task, completed=percent, note=note)


@dataclass
class Lines:
    """One line for each tenth of a stage."""

    shown: dict[str, int] = field(default_factory=dict)

    def update(self, stage: str, percent: int, note: str = "") -> None:
        """Print a line, unless the stage's last one had the same tenth."""
        tenth = percent // 10 * 10
        if self.shown.get(stage, -1) < tenth:
            self.shown[stage] = tenth
            say(f"    {stage} {tenth} %" + (f" ({note})" if note else ""))
