"""Runs inference in worker threads: a bounded queue in which callers take turns, and cancellation of lost work."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, TypeVar

from voice_inference.errors import Busy, Cancelled, ShuttingDown
from voice_inference.metrics import Metrics

Chunk = TypeVar("Chunk")
IsCancelled = Callable[[], bool]
AVERAGE_WEIGHT = 0.2  # of the newest job in the moving average of durations, which gives Retry-After
INITIAL_AVERAGE_SECONDS = 1.0
AHEAD = 4  # chunks that a job may be ahead of its reader: what is not read is not made
SHARE = 0.75  # of all places, for one caller: the others always find one


class _EndOfStream:
    """Follows the last chunk."""


class _Job(Generic[Chunk]):
    """One producer in a thread, and its queue of chunks to the event loop."""

    def __init__(self, caller: str, produce: Callable[[IsCancelled], Iterator[Chunk]]) -> None:
        self.caller = caller
        self.finished = False
        self._produce = produce
        self._iterator: Iterator[Chunk] | None = None
        self._loop = asyncio.get_running_loop()
        self._cancelled = threading.Event()
        self.seconds = 0.0  # in threads
        self.chunks: asyncio.Queue[Chunk | Exception | _EndOfStream] = asyncio.Queue()

    def step(self) -> None:
        """Produce the next chunk; the consumer gets it, the end of the stream, or the error."""
        if self.is_cancelled:  # while it waited for this thread
            return
        started = time.monotonic()
        try:
            if self._iterator is None:
                self._iterator = self._produce(self._cancelled.is_set)
            chunk = next(self._iterator)
        except StopIteration:
            self._finish(_EndOfStream())
        except Exception as error:  # noqa: BLE001 -- raised again in the consumer
            self._finish(error)
        else:
            self._emit(chunk)
        finally:
            self.seconds += time.monotonic() - started

    @property
    def is_cancelled(self) -> bool:
        """Whether nobody waits for it any more."""
        return self._cancelled.is_set()

    @property
    def is_ahead(self) -> bool:
        """Whether the reader has enough to read."""
        return self.chunks.qsize() >= AHEAD

    def cancel(self) -> None:
        """Ask the producer to stop at its next step."""
        self._cancelled.set()

    def tell_cancelled(self) -> None:
        """Let a consumer that still waits know; called from the event loop."""
        if not self.finished:
            self.finished = True
            self.chunks.put_nowait(Cancelled("The request was cancelled before it was finished."))

    def _finish(self, end: Exception | _EndOfStream) -> None:
        self.finished = True
        self._emit(end)

    def _emit(self, item: Chunk | Exception | _EndOfStream) -> None:
        self._loop.call_soon_threadsafe(self.chunks.put_nowait, item)


class Workers:
    """A fixed number of threads; when all are busy and the queue is full, requests are refused as ``Busy``.

    Callers take turns with each chunk, so that nobody waits longer than for a sentence of each other caller; one of
    them has at most SHARE of all places, and of all threads. A job rests while it is ahead of its reader, so that a
    slow one costs neither a thread nor memory.
    """

    def __init__(self, *, threads: int, queue: int, metrics: Metrics) -> None:
        self._threads = threads
        self._capacity = threads + queue
        self._share = max(1, math.ceil(SHARE * self._capacity))
        self._free = threads
        self._busy: Counter[str] = Counter()  # threads by caller
        self._waiting: dict[str, deque[_Job[Any]]] = {}  # by caller, whose turn is next first
        self._resting: set[_Job[Any]] = set()  # ahead of their readers
        self._metrics = metrics
        self._jobs: set[_Job[Any]] = set()
        self._average_seconds = INITIAL_AVERAGE_SECONDS
        self._closing = False
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="speech")

    async def stream(
        self, produce: Callable[[IsCancelled], Iterator[Chunk]], caller: str = ""
    ) -> AsyncGenerator[Chunk]:
        """Yield the chunks that ``produce`` yields in a thread; closing or cancelling this generator stops the job.

        Raises:
            Busy: the queue is full, or the caller's share of it.
            ShuttingDown: ``close`` was called.
            Exception: whatever ``produce`` raised.
        """
        if self._closing:
            raise ShuttingDown("The server is shutting down.", retry_after=1)
        if len(self._jobs) >= self._capacity:
            raise Busy(f"{len(self._jobs)} requests are running or waiting.", retry_after=self._retry_after())
        if (own := sum(job.caller == caller for job in self._jobs)) >= self._share:
            raise Busy(f"{own} requests of yours are running or waiting.", retry_after=self._retry_after())
        job = _Job(caller, produce)
        self._jobs.add(job)
        self._metrics.speech_requests_in_progress.set(len(self._jobs))
        self._waiting.setdefault(caller, deque()).append(job)
        self._admit()
        try:
            while not isinstance(item := await job.chunks.get(), _EndOfStream):
                if isinstance(item, Exception):
                    raise item
                self._wake(job)
                yield item
        finally:
            job.cancel()
            self._leave(job)

    @property
    def busy(self) -> bool:
        """Whether anything runs or waits."""
        return bool(self._jobs)

    async def close(self) -> None:
        """Cancel all jobs, and wait until their threads have stopped."""
        self._closing = True
        for job in self._jobs:
            job.cancel()
        for job in [*self._resting, *(job for waiting in self._waiting.values() for job in waiting)]:
            self._leave(job)
        await asyncio.to_thread(self._pool.shutdown, cancel_futures=True)

    def _admit(self) -> None:
        """Let what waits go on while threads are free: one job of each caller in turn."""
        loop = asyncio.get_running_loop()
        while self._free and (caller := self._next_caller()) is not None:
            jobs = self._waiting[caller]
            job = jobs.popleft()
            del self._waiting[caller]
            if jobs:
                self._waiting[caller] = jobs  # behind the others
            self._free -= 1
            self._busy[caller] += 1
            future = self._pool.submit(job.step)
            future.add_done_callback(lambda _, job=job: loop.call_soon_threadsafe(self._end, job))  # type: ignore[misc]

    def _next_caller(self) -> str | None:
        most = max(1, math.ceil(SHARE * self._threads))
        return next((caller for caller in self._waiting if self._busy[caller] < most), None)

    def _end(self, job: _Job[Any]) -> None:
        """Free the thread; a job that is not finished and has a consumer goes on when it is its caller's turn again."""
        self._free += 1
        self._busy -= Counter([job.caller])
        if job.finished or job.is_cancelled:
            self._forget(job)
            job.tell_cancelled()
            self._average_seconds += AVERAGE_WEIGHT * (job.seconds - self._average_seconds)
        elif job.is_ahead:
            self._resting.add(job)
        else:
            self._go_on(job)
        if not self._closing:
            self._admit()

    def _go_on(self, job: _Job[Any]) -> None:
        jobs = self._waiting.pop(job.caller, deque())
        jobs.appendleft(job)  # what has begun is finished first
        self._waiting[job.caller] = jobs  # behind the other callers

    def _wake(self, job: _Job[Any]) -> None:
        """Let a job go on whose reader has caught up with it."""
        if job in self._resting and not job.is_ahead:
            self._resting.remove(job)
            self._go_on(job)
            if not self._closing:
                self._admit()

    def _leave(self, job: _Job[Any]) -> None:
        """Take a job that waits or rests out of the queue; nothing happens to one that has a thread."""
        if job in self._resting:
            self._resting.remove(job)
            self._forget(job)
            job.tell_cancelled()
            return
        jobs = self._waiting.get(job.caller)
        if jobs is None or job not in jobs:
            return
        jobs.remove(job)
        if not jobs:
            del self._waiting[job.caller]
        self._forget(job)
        job.tell_cancelled()

    def _forget(self, job: _Job[Any]) -> None:
        self._jobs.discard(job)
        self._metrics.speech_requests_in_progress.set(len(self._jobs))

    def _retry_after(self) -> int:
        """Return the estimated seconds until the queue has moved by one."""
        return max(1, math.ceil(self._average_seconds / self._threads))
