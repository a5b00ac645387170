"""Runs inference beside the event loop: a few threads, a bounded queue, and an end for work nobody waits for."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, TypeVar

from voice_inference.errors import Busy, Cancelled, ShuttingDown
from voice_inference.metrics import Metrics

Chunk = TypeVar("Chunk")
IsCancelled = Callable[[], bool]
SMOOTHING = 0.2  # weight of the newest job in the average that Retry-After comes from
FIRST_GUESS_SECONDS = 1.0


class _End:
    """Follows the last chunk."""


class _Job(Generic[Chunk]):
    """One producer in a thread, and the chunks it hands to the event loop."""

    def __init__(self, produce: Callable[[IsCancelled], Iterator[Chunk]]) -> None:
        self._produce = produce
        self._loop = asyncio.get_running_loop()
        self._cancelled = threading.Event()
        self.seconds = 0.0  # of work, waiting not counted
        self.chunks: asyncio.Queue[Chunk | Exception | _End] = asyncio.Queue()

    def run(self) -> None:
        """Do the work; every end, good or bad, reaches the reader."""
        started = time.monotonic()
        try:
            if self._cancelled.is_set():  # while it waited for this thread
                self._hand_over(Cancelled("The request was cancelled before its turn."))
                return
            for chunk in self._produce(self._cancelled.is_set):
                self._hand_over(chunk)
            self._hand_over(_End())
        except Exception as error:  # noqa: BLE001 -- raised again where the chunks are read
            self._hand_over(error)
        finally:
            self.seconds = time.monotonic() - started

    def cancel(self) -> None:
        """Ask the work to stop at its next step."""
        self._cancelled.set()

    def _hand_over(self, item: Chunk | Exception | _End) -> None:
        self._loop.call_soon_threadsafe(self.chunks.put_nowait, item)


class Workers:
    """A fixed number of threads; when all are busy and the queue is full, callers are told to come back."""

    def __init__(self, *, threads: int, queue: int, metrics: Metrics) -> None:
        self._threads = threads
        self._capacity = threads + queue
        self._metrics = metrics
        self._jobs: set[_Job[Any]] = set()
        self._average_seconds = FIRST_GUESS_SECONDS
        self._closing = False
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="speech")

    async def stream(self, produce: Callable[[IsCancelled], Iterator[Chunk]]) -> AsyncGenerator[Chunk]:
        """Yield what ``produce`` yields in a thread; closing this generator, or cancelling it, stops the thread.

        Raises:
            Busy: the queue is full.
            ShuttingDown: ``close`` was called.
            Exception: whatever ``produce`` raised.
        """
        if self._closing:
            raise ShuttingDown("The server is shutting down.", retry_after=1)
        if len(self._jobs) >= self._capacity:
            raise Busy(f"{len(self._jobs)} requests are running or waiting.", retry_after=self._retry_after())
        job = _Job(produce)
        future = self._start(job)
        try:
            while not isinstance(item := await job.chunks.get(), _End):
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            job.cancel()
            future.cancel()  # for a job that still waits for its thread

    async def close(self) -> None:
        """Stop all work at its next step, and wait for that."""
        self._closing = True
        for job in self._jobs:
            job.cancel()
        await asyncio.to_thread(self._pool.shutdown, cancel_futures=True)

    def _start(self, job: _Job[Chunk]) -> Future[None]:
        loop = asyncio.get_running_loop()

        def ended(future: Future[None]) -> None:
            loop.call_soon_threadsafe(self._forget, job, future.cancelled())

        self._jobs.add(job)
        self._metrics.queue_depth.set(len(self._jobs))
        future = self._pool.submit(job.run)
        future.add_done_callback(ended)
        return future

    def _forget(self, job: _Job[Any], never_ran: bool) -> None:
        """A job counts until its thread is free again, whether or not somebody still listens."""
        self._jobs.discard(job)
        self._metrics.queue_depth.set(len(self._jobs))
        if never_ran:
            job.chunks.put_nowait(Cancelled("The request was cancelled before its turn."))
        else:
            self._average_seconds += SMOOTHING * (job.seconds - self._average_seconds)

    def _retry_after(self) -> int:
        """Return the seconds after which the queue has probably moved by one."""
        return max(1, math.ceil(self._average_seconds / self._threads))
