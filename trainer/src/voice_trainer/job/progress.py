"""How far a stage is: the document that the store and the display get, at most every two seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

from voice_trainer.job.results import Progress, now

INTERVAL_SECONDS = 2.0

Item = TypeVar("Item")


class ProgressWriter:
    """Counts the steps of one stage; ``put`` gets a document at most every two seconds, and always at the end."""

    def __init__(
        self, stage: str, put: Callable[[Progress], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stage = stage
        self._put = put
        self._clock = clock
        self._started = clock()
        self._last = float("-inf")

    def report(
        self,
        done: float,
        total: float,
        *,
        already: float = 0,
        epoch: int = 0,
        metrics: Mapping[str, float] | None = None,
    ) -> None:
        """Report that ``done`` of ``total`` steps are done, ``already`` of them by an earlier attempt."""
        moment = self._clock()
        finished = done >= total
        if moment - self._last < INTERVAL_SECONDS and not finished:
            return
        self._last = moment
        elapsed = moment - self._started
        pace = elapsed / (done - already) if done > already else 0.0  # seconds per step
        self._put(
            Progress(
                stage=self._stage,
                percent=int(100 * min(1.0, done / total)) if total else 100,
                epoch=epoch,
                eta_seconds=round(max(0.0, total - done) * pace),
                metrics={name: f"{value:.4g}" for name, value in (metrics or {}).items()},
                updated_at=now(),
            )
        )


class Steps:
    """Counts steps of equal weight over several loops of one stage."""

    def __init__(self, writer: ProgressWriter, total: int) -> None:
        self._writer = writer
        self._total = total
        self._done = 0

    def each(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield the items, each of which is a step."""
        for item in items:
            self._done += 1
            self._writer.report(self._done, self._total)
            yield item
