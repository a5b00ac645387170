"""Loads the desired voices and removes the others, pass after pass, while the server answers requests."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, TypeVar

from voice_inference.bundles.base import Base
from voice_inference.bundles.references import BaseReference, VoiceReference
from voice_inference.bundles.voice import Voice
from voice_inference.errors import LoadError
from voice_inference.metrics import Metrics
from voice_inference.voices.desired import Identity, Revision
from voice_inference.voices.entries import Role
from voice_inference.voices.registry import VoiceRegistry
from voice_inference.voices.sources import Source

PARALLEL_LOADS: dict[Role, int] = {
    "current": 4,
    "next": 2,
    "previous": 1,
}  # downloads wait for the network, so more than the cores
INITIAL_BACKOFF_SECONDS = 2.0
MAX_BACKOFF_SECONDS = 60.0
MAX_LOGGED_ENTRIES = 10

log = logging.getLogger(__name__)
Result = TypeVar("Result")
Reference = BaseReference | Revision


class Loader(Protocol):
    """Turns references into loaded bases and voices; blocks, and raises ``LoadError``."""

    def load_base(self, reference: BaseReference) -> Base:
        """Fetch, check and load a base."""
        ...

    def load_voice(self, reference: VoiceReference, base: Base) -> Voice:
        """Fetch, check and load a voice for the base."""
        ...

    def prune(self, digests: set[str]) -> None:
        """Remove all cached bundles but those of the given digests."""
        ...


@dataclass
class Backoff:
    """Exponential backoff between failed attempts; ``due`` is a time of the monotonic clock in seconds."""

    failures: int = 0
    due: float = 0.0

    def record_failure(self, now: float) -> None:
        """Double the delay, up to its maximum."""
        self.due = now + min(INITIAL_BACKOFF_SECONDS * 2**self.failures, MAX_BACKOFF_SECONDS)
        self.failures = min(self.failures + 1, 16)


class Lane:
    """Threads of one role, so that a store that hangs over what comes next delays nothing that is to be served."""

    def __init__(self, role: Role) -> None:
        self.role = role
        self.limit = PARALLEL_LOADS[role]
        self.threads = ThreadPoolExecutor(self.limit, thread_name_prefix=f"load-{role}")
        self._waiting: dict[str, deque[Reference]] = {}  # by namespace
        self.tasks: dict[str | Identity, asyncio.Task[None]] = {}

    def fill(self, references: Iterable[Reference]) -> None:
        """Let these wait, in this order within a namespace, instead of what waited."""
        self._waiting = {}
        for reference in references:
            self._waiting.setdefault(_namespace(reference.identity), deque()).append(reference)

    def take(self) -> Reference | None:
        """Take what is to start next: a base, else a revision of the namespace with the fewest loads.

        So no namespace has more than half of the threads while another one waits: bundles that take long, or that
        somebody made to, hold up nobody else's.
        """
        if not self._waiting:
            return None
        running = Counter(_namespace(identity) for identity in self.tasks)
        namespace = "" if "" in self._waiting else min(self._waiting, key=lambda waiting: running[waiting])
        reference = self._waiting[namespace].popleft()
        if not self._waiting[namespace]:
            del self._waiting[namespace]
        return reference

    @property
    def is_waiting(self) -> bool:
        """Whether something waits for a thread."""
        return bool(self._waiting)


def _namespace(identity: str | Identity) -> str:
    """Return whose revision it is; empty: a base, which is everybody's."""
    return "" if isinstance(identity, str) else identity[0].partition("/")[0]


class Syncer:
    """The only writer of ``VoiceRegistry``.

    Reading the desired voices has a thread of its own: a removal waits neither for a load nor for the store.
    """

    def __init__(
        self, source: Source, loader: Loader, registry: VoiceRegistry, metrics: Metrics, *, poll_seconds: float
    ) -> None:
        self._source = source
        self._loader = loader
        self._registry = registry
        self._metrics = metrics
        self._poll_seconds = poll_seconds
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="desired-voices")
        self._lanes = tuple(Lane(role) for role in PARALLEL_LOADS)  # in the order of their urgency
        self._backoffs: dict[str | Identity, Backoff] = {}
        self._rejected: tuple[str, ...] = ()
        self._pruned_to: set[str] | None = None
        for result in ("success", "error"):  # both series exist from the start, at 0
            metrics.loads.labels(result)

    async def run(self) -> None:
        """Run one sync pass after another, until cancelled."""
        try:
            while True:
                try:
                    await self._sync()
                except Exception:  # without its syncer, a server would serve the same voices for ever
                    log.exception("the sync pass failed; trying again")
                await asyncio.sleep(self._poll_seconds)
        finally:
            for lane in self._lanes:
                for task in lane.tasks.values():
                    task.cancel()
                lane.threads.shutdown(wait=False, cancel_futures=True)
            self._reader.shutdown(wait=False, cancel_futures=True)

    async def _sync(self) -> None:
        desired = await _in(self._reader, self._source.latest)
        if desired is None:
            return
        self._registry.update(desired)
        self._log_rejected(desired.rejected)
        self._queue_missing()
        await self._prune()

    def _log_rejected(self, rejected: tuple[str, ...]) -> None:
        if rejected == self._rejected:  # once per change: this runs every other second
            return
        for sentence in rejected[:MAX_LOGGED_ENTRIES]:
            log.warning("an entry of the desired voices is left out: %s", sentence)
        log.warning("entries of the desired voices that are left out: %d", len(rejected))
        self._rejected = rejected

    def _queue_missing(self) -> None:
        """Queue what is missing and due."""
        missing = {lane.role: self._registry.missing(lane.role) for lane in self._lanes}
        wanted = {reference.identity for references in missing.values() for reference in references}
        self._backoffs = {identity: backoff for identity, backoff in self._backoffs.items() if identity in wanted}
        now = time.monotonic()
        for lane in self._lanes:
            lane.fill(
                reference
                for reference in missing[lane.role]
                if self._backoffs.setdefault(reference.identity, Backoff()).due <= now
            )
        self._start_loads()

    def _start_loads(self) -> None:
        """Start what is queued, as far as there are threads; what comes next starts when nothing else waits."""
        for lane in self._lanes:
            while len(lane.tasks) < lane.limit and (reference := lane.take()) is not None:
                if not any(reference.identity in other.tasks for other in self._lanes):
                    lane.tasks[reference.identity] = asyncio.create_task(self._load(reference, lane))
            if lane.is_waiting:
                return

    async def _load(self, reference: Reference, lane: Lane) -> None:
        try:
            if isinstance(reference, Revision):
                await self._load_voice(reference, lane.threads)
            else:
                await self._load_base(reference, lane.threads)
        finally:
            del lane.tasks[reference.identity]
        if isinstance(reference, Revision):
            self._start_loads()
        else:
            self._queue_missing()  # the revisions that waited for the base

    async def _load_base(self, reference: BaseReference, threads: Executor) -> None:
        try:
            base = await _in(threads, lambda: self._loader.load_base(reference))
        except Exception as error:  # noqa: BLE001 -- one base, whatever is wrong with it, must not stop the others
            self._registry.record_base_error(
                reference, self._record_failure(f"the base {reference.name}", reference, error)
            )
        else:
            self._registry.record_base(base)
            log.info("the base %s is loaded", reference.name)

    async def _load_voice(self, revision: Revision, threads: Executor) -> None:
        base = self._registry.loaded_base(revision.base)
        if base is None:
            return  # the revision was removed while it waited, and its base with it
        started = time.monotonic()
        try:
            voice = await _in(threads, lambda: self._loader.load_voice(revision, base))
        except Exception as error:  # noqa: BLE001 -- one voice, whatever is wrong with it, must not stop the others
            self._metrics.loads.labels("error").inc()
            self._registry.record_error(revision, self._record_failure(revision.id, revision, error))
        else:
            self._metrics.loads.labels("success").inc()
            self._metrics.load_duration.observe(time.monotonic() - started)
            self._registry.record_voice(voice)
            log.info("revision %s of %s is loaded", revision.revision, revision.id)

    def _record_failure(self, what: str, reference: Reference, error: Exception) -> str:
        """Let the reference wait for its next attempt, and return the message for ``GET /v1/voices``."""
        backoff = self._backoffs.setdefault(reference.identity, Backoff())
        backoff.record_failure(time.monotonic())
        # Callers may read the message, so it holds no insides.
        message = str(error) if isinstance(error, LoadError) else f"internal error: {type(error).__name__}"
        unexpected = None if isinstance(error, LoadError) else error  # its traceback belongs in the log
        log.warning("%s cannot be loaded, attempt %d: %s", what, backoff.failures, message, exc_info=unexpected)
        return message

    async def _prune(self) -> None:
        """Prune the cache, once per change and not while a load may still be writing to it."""
        digests = self._registry.digests()
        if digests != self._pruned_to and not any(lane.tasks for lane in self._lanes):
            await _in(self._reader, lambda: self._loader.prune(digests))
            self._pruned_to = digests


async def _in(threads: Executor, work: Callable[[], Result]) -> Result:
    return await asyncio.get_running_loop().run_in_executor(threads, work)
