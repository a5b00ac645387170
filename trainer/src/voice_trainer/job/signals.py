"""SIGTERM: a pod is being moved; stop within its grace period, after a checkpoint where the stage has one."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from voice_trainer.errors import Interrupted


class TerminationSignal:
    """Turns SIGTERM into ``Interrupted``: at once, or where a stage asks for it."""

    def __init__(self) -> None:
        self._deferred = False
        self._received = False

    def install_handler(self, *signals: signal.Signals) -> None:
        """Handle SIGTERM, or the given signals, from now on; only the main thread may install a handler."""
        for number in signals or (signal.SIGTERM,):
            signal.signal(number, self._handle)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Within this block a SIGTERM only sets ``received``, so that state stays consistent; raised at its end."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False
        if self._received:
            raise Interrupted

    def received(self) -> bool:
        """Whether SIGTERM has arrived."""
        return self._received

    def _handle(self, _number: int, _frame: FrameType | None) -> None:
        self._received = True
        if not self._deferred:
            raise Interrupted
