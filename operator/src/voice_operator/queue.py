"""The rate-limited work queue: each key at most once, one worker per key at a time, with delays and back-off."""

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable

from voice_operator.metrics import Metrics, controller_name
from voice_operator.reconcile.names import Key

BASE_DELAY_SECONDS = 1.0
MAX_DELAY_SECONDS = 300.0
JITTER = 0.2  # so that keys that failed together do not come back together


class WorkQueue:
    """Keys to reconcile, with client-go's semantics. Everything happens in one event loop, so nothing is locked."""

    def __init__(self, metrics: Metrics | None = None, jitter: Callable[[], float] = random.random) -> None:
        self._metrics = metrics or Metrics()
        self._ready: deque[Key] = deque()
        self._dirty: dict[Key, float] = {}  # time of addition of each key that needs processing
        self._processing: dict[Key, float] = {}  # start of processing
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._failures: dict[Key, int] = {}
        self._arrival = asyncio.Event()
        self._jitter = jitter

    def __len__(self) -> int:
        return len(self._ready)

    def add(self, key: Key) -> None:
        """Enqueue the key; many calls before it is processed are one pass."""
        if key in self._dirty:
            return
        self._dirty[key] = time.monotonic()
        self._metrics.queue_adds.labels(controller_name(key.kind)).inc()
        if key not in self._processing:
            self._push(key)

    def add_after(self, key: Key, seconds: float) -> None:
        """Enqueue the key after a delay; the earliest of several requests counts."""
        if seconds <= 0:
            self.add(key)
            return
        loop = asyncio.get_running_loop()
        timer = self._timers.get(key)
        if timer is not None:
            if timer.when() <= loop.time() + seconds:
                return
            timer.cancel()
        self._timers[key] = loop.call_later(seconds, self._expire, key)

    def add_rate_limited(self, key: Key) -> float:
        """Enqueue a key that failed, with exponential back-off and jitter; return the delay in seconds."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay: float = min(BASE_DELAY_SECONDS * 2.0 ** min(failures, 30), MAX_DELAY_SECONDS)
        delay *= 1 + JITTER * self._jitter()
        self._metrics.queue_retries.labels(controller_name(key.kind)).inc()
        self.add_after(key, delay)
        return delay

    def forget(self, key: Key) -> None:
        """Reset the key's back-off."""
        self._failures.pop(key, None)

    async def get(self) -> Key:
        """Wait for a key; the caller must call ``done`` with it."""
        while not self._ready:
            self._arrival.clear()
            await self._arrival.wait()
        key = self._ready.popleft()
        name, now = controller_name(key.kind), time.monotonic()
        self._metrics.queue_depth.labels(name).dec()
        self._metrics.queue_duration.labels(name).observe(now - self._dirty.pop(key))
        self._processing[key] = now
        if timer := self._timers.pop(key, None):
            timer.cancel()  # the pass that starts now decides itself when the next one is due
        return key

    def done(self, key: Key) -> None:
        """Mark a key as processed; if it was added meanwhile, it is enqueued again."""
        started = self._processing.pop(key)
        self._metrics.work_duration.labels(controller_name(key.kind)).observe(time.monotonic() - started)
        if key in self._dirty:
            self._push(key)

    def shut_down(self) -> None:
        """Cancel all delays."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _push(self, key: Key) -> None:
        self._metrics.queue_depth.labels(controller_name(key.kind)).inc()
        self._ready.append(key)
        self._arrival.set()

    def _expire(self, key: Key) -> None:
        self._timers.pop(key, None)
        self.add(key)


async def run_worker(queue: WorkQueue, reconcile: Callable[[Key], Awaitable[None]]) -> None:
    """Process keys for ever. ``reconcile`` handles its own errors; any exception that leaves it ends the process."""
    while True:
        key = await queue.get()
        try:
            await reconcile(key)
        finally:
            queue.done(key)
