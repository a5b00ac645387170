"""SIGTERM: a pod is being moved; end soon, and keep what is worth keeping."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from voice_trainer.errors import Interrupted


class Interruption:
    """Turns SIGTERM into ``Interrupted``, at once or where a stage says that it is safe."""

    def __init__(self) -> None:
        self._deferred = False
        self._requested = False

    def listen(self) -> None:
        """Take over SIGTERM; only the main thread may."""
        signal.signal(signal.SIGTERM, self._arrived)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Within this block only ``requested`` tells of a SIGTERM, so that state stays consistent."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False
        if self._requested:
            raise Interrupted

    def requested(self) -> bool:
        """Whether SIGTERM has arrived."""
        return self._requested

    def _arrived(self, _number: int, _frame: FrameType | None) -> None:
        self._requested = True
        if not self._deferred:
            raise Interrupted
