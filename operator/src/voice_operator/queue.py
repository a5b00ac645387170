"""The rate-limited work queue: each key at most once, one worker per key at a time, by priority, with back-off."""

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from enum import IntEnum

from voice_operator.metrics import Metrics, controller_name
from voice_operator.reconcile.names import Key

BASE_DELAY_SECONDS = 1.0
MAX_DELAY_SECONDS = 300.0
JITTER = 0.2  # so that keys that failed together do not come back together


class Priority(IntEnum):
    """What goes first; a key that waits takes the higher of two priorities that it is added with."""

    URGENT = 0  # a permission was taken away
    NORMAL = 1  # somebody changed the object
    LOW = 2  # a child changed, a delay is over, everything is looked at again


class WorkQueue:
    """Keys to reconcile, with client-go's semantics. Everything happens in one event loop, so nothing is locked."""

    def __init__(self, metrics: Metrics | None = None, jitter: Callable[[], float] = random.random) -> None:
        self._metrics = metrics or Metrics()
        self._ready: dict[Priority, deque[Key]] = {priority: deque() for priority in Priority}
        self._dirty: dict[Key, tuple[float, Priority]] = {}  # time of addition of each key that needs processing
        self._processing: dict[Key, float] = {}  # start of processing
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._failures: dict[Key, int] = {}
        self._waiters: set[asyncio.Future[None]] = set()
        self._jitter = jitter

    def __len__(self) -> int:
        return sum(map(len, self._ready.values()))

    def add(self, key: Key, priority: Priority = Priority.NORMAL) -> None:
        """Enqueue the key; many calls before it is processed are one pass."""
        since, waiting = self._dirty.get(key, (time.monotonic(), None))
        if waiting is not None and waiting <= priority:
            return
        self._dirty[key] = since, priority
        if waiting is None:
            self._metrics.queue_adds.labels(controller_name(key.kind)).inc()
        if key in self._processing:
            return
        if waiting is not None:
            self._ready[waiting].remove(key)
            self._metrics.queue_depth.labels(controller_name(key.kind)).dec()
        self._push(key, priority)

    def add_after(self, key: Key, seconds: float) -> None:
        """Enqueue the key after a delay; the earliest of several requests counts."""
        if seconds <= 0:
            self.add(key, Priority.LOW)
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

    async def get(self, lowest: Priority = Priority.LOW) -> Key:
        """Wait for a key of at least this priority, the most urgent first; the caller must call ``done`` with it."""
        while True:
            for priority in Priority:
                if priority <= lowest and self._ready[priority]:
                    return self._begin(self._ready[priority].popleft())
            await self._arrived()

    def done(self, key: Key) -> None:
        """Mark a key as processed; if it was added meanwhile, it is enqueued again."""
        started = self._processing.pop(key)
        self._metrics.work_duration.labels(controller_name(key.kind)).observe(time.monotonic() - started)
        if key in self._dirty:
            self._push(key, self._dirty[key][1])

    def shut_down(self) -> None:
        """Cancel all delays."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _begin(self, key: Key) -> Key:
        name, now = controller_name(key.kind), time.monotonic()
        self._metrics.queue_depth.labels(name).dec()
        self._metrics.queue_duration.labels(name).observe(now - self._dirty.pop(key)[0])
        self._processing[key] = now
        if timer := self._timers.pop(key, None):
            timer.cancel()  # the pass that starts now decides itself when the next one is due
        return key

    def _push(self, key: Key, priority: Priority) -> None:
        self._metrics.queue_depth.labels(controller_name(key.kind)).inc()
        self._ready[priority].append(key)
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def _arrived(self) -> None:
        """Wait until any key becomes ready."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)

    def _expire(self, key: Key) -> None:
        del self._timers[key]
        self.add(key, Priority.LOW)


async def run_worker(
    queue: WorkQueue, reconcile: Callable[[Key], Awaitable[None]], lowest: Priority = Priority.LOW
) -> None:
    """Process keys of at least a priority for ever; ``reconcile`` handles its own errors."""
    while True:
        key = await queue.get(lowest)
        try:
            await reconcile(key)
        finally:
            queue.done(key)
