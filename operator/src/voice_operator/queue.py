"""The work queue: each key at most once, one worker per key at a time, with delays and back-off."""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable

from voice_operator.reconcile.names import Key

BASE_DELAY_SECONDS = 1.0
MAX_DELAY_SECONDS = 300.0
JITTER = 0.2  # so that what failed together does not come back together


class WorkQueue:
    """Keys that need a look. Everything happens in one event loop, so nothing is locked."""

    def __init__(self, jitter: Callable[[], float] = random.random) -> None:
        self._ready: deque[Key] = deque()
        self._queued: set[Key] = set()
        self._processing: set[Key] = set()
        self._dirty: set[Key] = set()  # added while being worked on
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._failures: dict[Key, int] = {}
        self._arrival = asyncio.Event()
        self._jitter = jitter

    def __len__(self) -> int:
        return len(self._ready)

    def add(self, key: Key) -> None:
        """Have the key looked at as soon as possible; many calls before that are one look."""
        if key in self._processing:
            self._dirty.add(key)
        elif key not in self._queued:
            self._queued.add(key)
            self._ready.append(key)
            self._arrival.set()

    def add_after(self, key: Key, seconds: float) -> None:
        """Have the key looked at after a while; the earliest of several requests counts."""
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
        """Have a key that failed looked at again, later each time; return the delay in seconds."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay: float = min(BASE_DELAY_SECONDS * 2.0 ** min(failures, 30), MAX_DELAY_SECONDS)
        delay *= 1 + JITTER * self._jitter()
        self.add_after(key, delay)
        return delay

    def forget(self, key: Key) -> None:
        """Forget the key's failures."""
        self._failures.pop(key, None)

    async def get(self) -> Key:
        """Wait for a key; the caller must give it back with ``done``."""
        while not self._ready:
            self._arrival.clear()
            await self._arrival.wait()
        key = self._ready.popleft()
        self._queued.discard(key)
        self._processing.add(key)
        if timer := self._timers.pop(key, None):
            timer.cancel()  # the look that starts now says itself when the next one is due
        return key

    def done(self, key: Key) -> None:
        """Give a key back; if it was added meanwhile, it is queued again."""
        self._processing.discard(key)
        if key in self._dirty:
            self._dirty.discard(key)
            self.add(key)

    def shut_down(self) -> None:
        """Cancel all delays."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _expire(self, key: Key) -> None:
        self._timers.pop(key, None)
        self.add(key)


async def run_worker(queue: WorkQueue, reconcile: Callable[[Key], Awaitable[None]]) -> None:
    """Take keys for ever. ``reconcile`` deals with its own errors; whatever it raises ends the process."""
    while True:
        key = await queue.get()
        try:
            await reconcile(key)
        finally:
            queue.done(key)
