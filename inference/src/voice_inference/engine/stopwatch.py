"""Measures the time that something computes, without the time that it waits."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Runs from its making."""

    def __init__(self) -> None:
        self._started, self._waited = time.perf_counter(), 0.0

    @property
    def seconds(self) -> float:
        """Seconds since the start, without those that it was stopped."""
        return time.perf_counter() - self._started - self._waited

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Stop within the block."""
        began = time.perf_counter()
        yield
        self._waited += time.perf_counter() - began
