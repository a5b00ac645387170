"""A voice's way to Ready as a live table; plain lines where there is no terminal."""

import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from dev.demo.kubectl import Kubectl, Manifest
from dev.errors import DevError

PHASES = ("Preparing", "Training", "Evaluating", "AwaitingReview", "Loading", "Ready")
ENDS = ("Ready", "Failed", "Suspended")


@dataclass
class Journey:
    """When each phase was first seen, in seconds since the voice was applied."""

    started: float = field(default_factory=time.monotonic)
    entered: dict[str, float] = field(default_factory=dict)

    def enter(self, phase: str) -> bool:
        """Record the phase; true when it is new."""
        if phase in self.entered:
            return False
        self.entered[phase] = time.monotonic() - self.started
        return True

    def seconds(self) -> dict[str, float]:
        """How long each phase lasted."""
        marks = [*self.entered.items(), ("", time.monotonic() - self.started)]
        return {name: round(end - begin, 1) for (name, begin), (_, end) in pairwise(marks) if name not in ENDS}


def follow(
    kubectl: Kubectl, name: str, namespace: str, *, patience: float, background: Future[str]
) -> tuple[Manifest, Journey]:
    """Watch a VoiceModel until it is Ready.

    Args:
        kubectl: the cluster.
        name: of the VoiceModel.
        namespace: of the VoiceModel.
        patience: seconds to wait.
        background: work that the voice needs; its failure ends the waiting.

    Raises:
        DevError: the voice failed or was suspended (with the resource's own reason), or `patience` seconds passed.
    """
    journey = Journey()
    with _display(name) as show:
        while True:
            if background.done():
                background.result()
            voice = kubectl.get("voicemodels.voice.sovits.dev", name, namespace)
            status = voice.get("status", {})
            current = status.get("observedGeneration") == voice["metadata"]["generation"]
            phase = status.get("phase", "Waiting") if current else "Waiting"
            journey.enter(phase)
            show(phase, status, journey)
            if phase == "Ready":
                return voice, journey
            if phase in ENDS:
                raise DevError(
                    f"voice {name} is {phase}: {_reason(status)}",
                    remedy=f"kubectl describe voice {name} -n {namespace}",
                )
            if time.monotonic() - journey.started > patience:
                raise DevError(
                    f"voice {name} is still {phase} after {patience:.0f} s: {_reason(status)}",
                    remedy=f"kubectl describe voice {name} -n {namespace}; kubectl get pods -A",
                )
            time.sleep(0.5)


def _reason(status: Manifest) -> str:
    """The first condition that says why the voice is not ready."""
    conditions = {c["type"]: c for c in status.get("conditions", [])}
    for kind in ("Stalled", "Ready"):
        found = conditions.get(kind)
        if found and found.get("message"):
            return f"{found['reason']}: {found['message']}"
    return "no reason given yet"


def _table(name: str, phase: str, status: Manifest, journey: Journey) -> Table:
    table = Table("phase", "", "", title=f"voice {name}", title_justify="left", box=None)
    progress = status.get("progress") or {}
    for step in PHASES:
        if step == "AwaitingReview" and step not in journey.entered:
            continue
        if step == phase and step != "Ready":
            note = " ".join(
                part
                for part in (
                    progress.get("stage", ""),
                    f"epoch {progress['epoch']}" if progress.get("epoch") else "",
                    f"{progress['etaSeconds']} s left" if progress.get("etaSeconds") else "",
                )
                if part
            )
            table.add_row(
                f"[bold]{step}", ProgressBar(total=100, completed=progress.get("percent") or 0, width=30), note
            )
        elif step in journey.entered:
            table.add_row(f"[green]{step}", "[green]done", "")
        else:
            table.add_row(f"[dim]{step}", "", "")
    return table


Show = Callable[[str, Manifest, "Journey"], None]


@contextmanager
def _display(name: str) -> Iterator[Show]:
    """A live table on a terminal; elsewhere one line for each phase and each tenth of a stage."""
    console = Console(stderr=True)
    if console.is_terminal:
        with Live(console=console, refresh_per_second=4) as live:
            yield lambda phase, status, journey: live.update(_table(name, phase, status, journey))
        return
    printed: set[str] = set()

    def show(phase: str, status: Manifest, _: "Journey") -> None:
        progress = status.get("progress") or {}
        line = f"    {phase}"
        if progress.get("stage") and phase not in ENDS:
            line += f" ({progress['stage']} {progress.get('percent', 0) // 10 * 10} %)"
        if line not in printed:
            printed.add(line)
            print(line, file=sys.stderr, flush=True)

    yield show
