"""Runs inference in worker threads: a bounded queue, and cancellation of work that nobody waits for."""

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
AVERAGE_WEIGHT = 0.2  # of the newest job in the moving average of durations, which gives Retry-After
INITIAL_AVERAGE_SECONDS = 1.0


class _EndOfStream:
    """Follows the last chunk."""


class _Job(Generic[Chunk]):
    """One producer in a thread, and its queue of chunks to the event loop."""

    def __init__(self, produce: Callable[[IsCancelled], Iterator[Chunk]]) -> None:
        self._produce = produce
        self._loop = asyncio.get_running_loop()
        self._cancelled = threading.Event()
        self.seconds = 0.0  # duration without the wait for a thread
        self.chunks: asyncio.Queue[Chunk | Exception | _EndOfStream] = asyncio.Queue()

    def run(self) -> None:
        """Produce all chunks; the consumer gets the end of the stream, or the error."""
        started = time.monotonic()
        try:
            if self._cancelled.is_set():  # while it waited for this thread
                self._emit(Cancelled("The request was cancelled before its turn."))
                return
            for chunk in self._produce(self._cancelled.is_set):
                self._emit(chunk)
            self._emit(_EndOfStream())
        except Exception as error:  # noqa: BLE001 -- raised again in the consumer
            self._emit(error)
        finally:
            self.seconds = time.monotonic() - started

    def cancel(self) -> None:
        """Ask the producer to stop at its next step."""
        self._cancelled.set()

    def _emit(self, item: Chunk | Exception | _EndOfStream) -> None:
        self._loop.call_soon_threadsafe(self.chunks.put_nowait, item)


class Workers:
    """A fixed number of threads; when all are busy and the queue is full, requests are refused as ``Busy``."""

    def __init__(self, *, threads: int, queue: int, metrics: Metrics) -> None:
        self._threads = threads
        self._capacity = threads + queue
        self._metrics = metrics
        self._jobs: set[_Job[Any]] = set()
        self._average_seconds = INITIAL_AVERAGE_SECONDS
        self._closing = False
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="speech")

    async def stream(self, produce: Callable[[IsCancelled], Iterator[Chunk]]) -> AsyncGenerator[Chunk]:
        """Yield the chunks that ``produce`` yields in a thread; closing or cancelling this generator stops the job.

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
            while not isinstance(item := await job.chunks.get(), _EndOfStream):
                if isinstance(item, Exception):
                    raise item
                yield item
        finally:
            job.cancel()
            future.cancel()  # for a job that still waits for its thread

    async def close(self) -> None:
        """Cancel all jobs, and wait until their threads have stopped."""
        self._closing = True
        for job in self._jobs:
            job.cancel()
        await asyncio.to_thread(self._pool.shutdown, cancel_futures=True)

    def _start(self, job: _Job[Chunk]) -> Future[None]:
        loop = asyncio.get_running_loop()

        def done(future: Future[None]) -> None:
            loop.call_soon_threadsafe(self._release, job, future.cancelled())

        self._jobs.add(job)
        self._metrics.speech_requests_in_progress.set(len(self._jobs))
        future = self._pool.submit(job.run)
        future.add_done_callback(done)
        return future

    def _release(self, job: _Job[Any], was_cancelled: bool) -> None:
        """Free the job's slot when its thread is free again, whether or not its consumer is still there."""
        self._jobs.discard(job)
        self._metrics.speech_requests_in_progress.set(len(self._jobs))
        if was_cancelled:
            job.chunks.put_nowait(Cancelled("The request was cancelled before its turn."))
        else:
            self._average_seconds += AVERAGE_WEIGHT * (job.seconds - self._average_seconds)

    def _retry_after(self) -> int:
        """Return the estimated seconds until the queue has moved by one."""
        return max(1, math.ceil(self._average_seconds / self._threads))
