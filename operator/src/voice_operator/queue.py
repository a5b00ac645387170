"""The rate-limited work queue: each key at most once, one worker per key at a time, with back-off.

Namespaces take turns, each with its most urgent key first, and none of them can occupy all workers
(docs/decisions/0039).
"""

import asyncio
import random
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum, IntEnum, auto

from voice_operator.metrics import Metrics, controller_name
from voice_operator.reconcile.names import Key

BASE_DELAY_SECONDS = 1.0
MAX_DELAY_SECONDS = 300.0
LARGE_BYTES = 64 << 10  # usual objects have a few thousand; each write of a large one keeps the API server busy
JITTER = 0.2  # so that keys that failed together do not come back together


class Priority(IntEnum):
    """What goes first; a key that waits takes the higher of two priorities that it is added with."""

    URGENT = 0  # a permission was taken away
    NORMAL = 1  # somebody changed the object
    LOW = 2  # a child changed, a delay is over, everything is looked at again


class Lane(Enum):
    """Where a key waits."""

    LISTS = auto()  # of voices: what every revocation passes through
    OBJECTS = auto()
    LARGE = auto()  # objects of more than LARGE_BYTES
    FOLDERS = auto()  # files that are erased: it takes long, and nothing else may wait for it


@dataclass(frozen=True)
class Crew:
    """Workers of one sort: what they take, and how many of them may work for one namespace at a time."""

    name: str = "general"
    size: int = 1
    share: int = 1 << 30
    lowest: Priority = Priority.LOW
    lanes: frozenset[Lane] = frozenset(Lane)
    rest: float = 0.0  # after each pass, in durations of that pass


ANYBODY = Crew()


def crews(workers: int) -> tuple[Crew, ...]:
    """Return the crews of an operator with so many general workers.

    Lists have workers of their own: their passes ask the API server for a few small objects and nobody else. So have
    urgent keys; a pass over a voice may still ask the pods of its server. One worker has all large objects, and rests
    most of the time: how slow its passes are tells how busy the API server is with such objects. Erasures take no other
    worker's time.
    """
    small = frozenset({Lane.LISTS, Lane.OBJECTS})
    return (
        Crew("lists", 2, share=1, lanes=frozenset({Lane.LISTS})),
        Crew("urgent", 2, share=1, lowest=Priority.URGENT, lanes=small),
        Crew("general", workers, share=max(workers * 3 // 4, 1), lanes=small),
        Crew("erasures", 4, share=2, lanes=frozenset({Lane.FOLDERS})),
        Crew("large", 1, lanes=frozenset({Lane.LARGE}), rest=4.0),
    )


class _Turns:
    """Keys that wait, by namespace; the namespace whose turn is next first."""

    def __init__(self) -> None:
        self._waiting: dict[str, dict[Priority, deque[Key]]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, key: Key, priority: Priority) -> None:
        waiting = self._waiting.setdefault(key.namespace, {priority: deque() for priority in Priority})
        waiting[priority].append(key)
        self._count += 1

    def remove(self, key: Key, priority: Priority) -> None:
        self._waiting[key.namespace][priority].remove(key)
        self._count -= 1
        self._drop_if_empty(key.namespace)

    def take(self, lowest: Priority, may: Callable[[str], bool]) -> Key | None:
        """Remove and return the most urgent key of the next namespace that has one and ``may`` be worked for."""
        for namespace, waiting in self._waiting.items():
            priority = next((one for one in Priority if one <= lowest and waiting[one]), None)
            if priority is not None and may(namespace):
                key = waiting[priority].popleft()
                self._count -= 1
                self._waiting[namespace] = self._waiting.pop(namespace)  # behind the others
                self._drop_if_empty(namespace)
                return key
        return None

    def _drop_if_empty(self, namespace: str) -> None:
        if not any(self._waiting[namespace].values()):
            del self._waiting[namespace]


class WorkQueue:
    """Keys to reconcile, with client-go's semantics. Everything happens in one event loop, so nothing is locked."""

    def __init__(self, metrics: Metrics | None = None, jitter: Callable[[], float] = random.random) -> None:
        self._metrics = metrics or Metrics()
        self._ready = {lane: _Turns() for lane in Lane}
        self._lanes: dict[Key, Lane] = {}  # of the keys that are ready
        self._dirty: dict[Key, tuple[float, Priority]] = {}  # time of addition of each key that needs processing
        self._processing: dict[Key, tuple[float, Crew]] = {}  # start of processing, and by whom
        self._at_work: Counter[tuple[str, str]] = Counter()  # workers by crew and namespace
        self._timers: dict[Key, asyncio.TimerHandle] = {}
        self._failures: dict[Key, int] = {}
        self._waiters: set[asyncio.Future[None]] = set()
        self._jitter = jitter
        self.size_of: Callable[[Key], int] = lambda _: 0  # bytes of the object

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
            self._ready[self._lanes.pop(key)].remove(key, waiting)
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

    async def get(self, crew: Crew = ANYBODY) -> Key:
        """Wait for a key that a worker of this crew may take; the worker must call ``done`` with it."""

        def may(namespace: str) -> bool:
            return self._at_work[crew.name, namespace] < crew.share

        while True:
            for lane in Lane:
                if lane in crew.lanes and (key := self._ready[lane].take(crew.lowest, may)) is not None:
                    return self._begin(key, crew)
            await self._arrived()

    def done(self, key: Key) -> None:
        """Mark a key as processed; if it was added meanwhile, it is enqueued again."""
        started, crew = self._processing.pop(key)
        self._at_work -= Counter({(crew.name, key.namespace): 1})  # without what has become 0
        self._metrics.work_duration.labels(controller_name(key.kind)).observe(time.monotonic() - started)
        if key in self._dirty:
            self._push(key, self._dirty[key][1])

    def is_processing(self, key: Key) -> bool:
        """Return whether a pass over the key goes on."""
        return key in self._processing

    def shut_down(self) -> None:
        """Cancel all delays."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _lane(self, key: Key) -> Lane:
        if key.kind == "VoiceList":
            return Lane.LISTS
        if key.kind == "VoiceFolder":
            return Lane.FOLDERS
        return Lane.LARGE if self.size_of(key) > LARGE_BYTES else Lane.OBJECTS

    def _begin(self, key: Key, crew: Crew) -> Key:
        name, now = controller_name(key.kind), time.monotonic()
        self._metrics.queue_depth.labels(name).dec()
        self._metrics.queue_duration.labels(name).observe(now - self._dirty.pop(key)[0])
        self._lanes.pop(key)
        self._processing[key] = now, crew
        self._at_work[crew.name, key.namespace] += 1
        if timer := self._timers.pop(key, None):
            timer.cancel()  # the pass that starts now decides itself when the next one is due
        return key

    def _push(self, key: Key, priority: Priority) -> None:
        self._metrics.queue_depth.labels(controller_name(key.kind)).inc()
        lane = self._lanes[key] = self._lane(key)
        self._ready[lane].add(key, priority)
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


async def run_worker(queue: WorkQueue, reconcile: Callable[[Key], Awaitable[None]], crew: Crew = ANYBODY) -> None:
    """Process keys that the crew may take for ever; ``reconcile`` handles its own errors."""
    while True:
        key = await queue.get(crew)
        started = time.monotonic()
        try:
            await reconcile(key)
        finally:
            queue.done(key)
        await asyncio.sleep(crew.rest * (time.monotonic() - started))
