"""Seconds by phase: announced while they run, then as a table for people and as JSON for programs."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from dev.terminal import say


@dataclass
class Stopwatch:
    """Begin and length of each phase, in seconds since the start; phases may overlap."""

    started: float = field(default_factory=time.monotonic)
    begun: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str, title: str = "") -> Iterator[None]:
        """Announce a phase under its title, if it has one, and note how long it took."""
        if title:
            say(f"==> {title}")
        self.begun[name] = self.total()
        yield
        self.note(name, self.begun[name], self.total() - self.begun[name])

    def note(self, name: str, begun: float, seconds: float) -> None:
        """Record a phase that something else has timed."""
        self.begun[name], self.seconds[name] = round(begun, 1), round(seconds, 1)

    def total(self) -> float:
        """Seconds since the start."""
        return round(time.monotonic() - self.started, 1)

    def names(self) -> list[str]:
        """The finished phases in the order in which they began."""
        return sorted((name for name in self.begun if name in self.seconds), key=self.begun.__getitem__)

    def table(self) -> Table:
        """The finished phases in the order in which they began."""
        table = Table("phase", box=None, title="seconds by phase", title_justify="left")
        table.add_column("began at", justify="right")
        table.add_column("seconds", justify="right")
        for name in self.names():
            table.add_row(name, f"{self.begun[name]:.1f}", f"{self.seconds[name]:.1f}")
        table.add_row("all", "0.0", f"{self.total():.1f}")
        return table

    def print(self) -> None:
        """Show the table where progress is shown."""
        Console(stderr=True).print(self.table())

    def write(self, path: Path) -> None:
        """Write `{"total": seconds, "phases": {name: {"began": seconds, "seconds": seconds}}}`."""
        phases = {name: {"began": self.begun[name], "seconds": self.seconds[name]} for name in self.names()}
        path.write_text(json.dumps({"total": self.total(), "phases": phases}, indent=2) + "\n", encoding="utf-8")
