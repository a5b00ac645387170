"""How people see the progress of a stage: a bar on a terminal, a log line now and then in a pod."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.logging import RichHandler
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeElapsedColumn

from voice_store.printable import PrintableFormatter
from voice_trainer.job import results

logger = logging.getLogger(__name__)

FINISHED = 100  # percent


class Display(Protocol):
    """Shows progress documents to people."""

    def show(self, progress: results.Progress) -> None:
        """Show how far a stage is; called at most every two seconds."""


class LogDisplay:
    """At most one log line in ``seconds``; a stage that takes less has no line but the one of its end."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._last = clock()

    def show(self, progress: results.Progress) -> None:
        """Log the progress, if the last line is long enough ago."""
        moment = self._clock()
        if moment - self._last < self._seconds or progress.percent >= FINISHED:
            return
        self._last = moment
        logger.info("%s: %d %%%s", progress.stage, progress.percent, details(progress, separator=", "))


class BarDisplay:
    """One bar per stage."""

    def __init__(self, console: Console) -> None:
        self._bars = Progress(
            TextColumn("[bold]{task.description:<8}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[details]}", markup=False),
            console=console,
        )
        self._tasks: dict[str, TaskID] = {}

    @contextmanager
    def live(self) -> Iterator[BarDisplay]:
        """Keep the bars at the bottom of the terminal within this block."""
        with self._bars:
            yield self

    def show(self, progress: results.Progress) -> None:
        """Move the bar of the stage."""
        if progress.stage not in self._tasks:
            self._tasks[progress.stage] = self._bars.add_task(progress.stage, total=FINISHED, details="")
        self._bars.update(
            self._tasks[progress.stage], completed=progress.percent, details=details(progress, separator="  ")
        )


def details(progress: results.Progress, *, separator: str) -> str:
    """Return epoch, time left and metrics, each after a separator, as far as there are any."""
    parts = [
        f"epoch {progress.epoch}" if progress.epoch else "",
        f"{progress.eta_seconds} s left" if progress.eta_seconds else "",
        *(f"{name}={value}" for name, value in progress.metrics.items()),
    ]
    return "".join(separator + part for part in parts if part)


@contextmanager
def open_display(level: str, seconds: float) -> Iterator[Display]:
    """Set logging up and yield the display for standard error: bars on a terminal, else log lines."""
    if sys.stderr.isatty():
        console = Console(stderr=True)
        handler = RichHandler(console=console, show_path=False, log_time_format="%H:%M:%S")
        handler.setFormatter(PrintableFormatter("%(message)s"))
        logging.basicConfig(level=level.upper(), handlers=[handler])
        with BarDisplay(console).live() as display:
            yield display
    else:
        lines = logging.StreamHandler(sys.stderr)
        lines.setFormatter(PrintableFormatter("%(asctime)s %(levelname)s %(message)s"))
        logging.basicConfig(level=level.upper(), handlers=[lines])
        yield LogDisplay(seconds)
