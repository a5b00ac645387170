"""Loads the desired voices and removes the others, pass after pass, while the server answers requests."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, TypeVar

from voice_inference.bundles.base import Base
from voice_inference.bundles.references import BaseReference, VoiceReference
from voice_inference.bundles.voice import Voice
from voice_inference.errors import LoadError
from voice_inference.metrics import Metrics
from voice_inference.voices.desired import DesiredVoices
from voice_inference.voices.registry import VoiceRegistry

PARALLEL_LOADS = 4  # downloads wait for the network, so more than the cores
INITIAL_BACKOFF_SECONDS = 2.0
MAX_BACKOFF_SECONDS = 60.0

log = logging.getLogger(__name__)
Result = TypeVar("Result")


class Source(Protocol):
    """A source of the desired-voices document; blocks."""

    def latest(self) -> DesiredVoices | None:
        """Return the newest document, or nothing while there is none."""
        ...


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


Attempt = tuple[VoiceReference, BaseReference]


class Syncer:
    """The only writer of ``VoiceRegistry``."""

    def __init__(
        self, source: Source, loader: Loader, registry: VoiceRegistry, metrics: Metrics, *, poll_seconds: float
    ) -> None:
        self._source = source
        self._loader = loader
        self._registry = registry
        self._metrics = metrics
        self._poll_seconds = poll_seconds
        self._base: Base | None = None
        self._base_backoff = Backoff()
        self._tasks: dict[Attempt, asyncio.Task[None]] = {}
        self._backoffs: dict[Attempt, Backoff] = {}
        self._pruned_for: DesiredVoices | None = None
        for result in ("success", "error"):  # both series exist from the start, at 0
            metrics.loads.labels(result)
        self._threads = ThreadPoolExecutor(PARALLEL_LOADS, thread_name_prefix="load")

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
            for task in self._tasks.values():
                task.cancel()
            self._threads.shutdown(wait=False, cancel_futures=True)

    async def _sync(self) -> None:
        desired = await self._in_thread(self._source.latest)
        if desired is None:
            return
        self._registry.update(desired)
        base = await self._sync_base(desired.base)
        if base is None:
            return
        self._start_loads(base)
        await self._prune(desired, base)

    async def _sync_base(self, reference: BaseReference) -> Base | None:
        """Return the desired base; the voices of the previous one serve on until theirs are loaded."""
        if self._base and self._base.reference == reference:
            return self._base
        if time.monotonic() < self._base_backoff.due:
            return None
        try:
            self._base = await self._in_thread(lambda: self._loader.load_base(reference))
        except Exception as error:
            self._registry.record_base_error(reference, _public_message(error))
            self._base_backoff.record_failure(time.monotonic())
            log.warning("%s", self._registry.base_error, exc_info=_unexpected(error))
            return None
        log.info("the base %s is loaded", reference.name)
        self._base_backoff = Backoff()
        self._registry.record_base_loaded()
        return self._base

    def _start_loads(self, base: Base) -> None:
        """Start a task for every voice that is not ready, not being loaded, and due."""
        attempts = {(entry.desired, entry.base) for entry in self._registry if entry.state != "ready"}
        self._backoffs = {attempt: backoff for attempt, backoff in self._backoffs.items() if attempt in attempts}
        for attempt in attempts - self._tasks.keys():
            if time.monotonic() >= self._backoffs.setdefault(attempt, Backoff()).due:
                self._tasks[attempt] = asyncio.create_task(self._load(attempt, base))

    async def _prune(self, desired: DesiredVoices, base: Base) -> None:
        """Prune the cache, once per document and not while a load may still be writing to it."""
        if self._tasks or self._pruned_for == desired:
            return
        digests = {base.digest} | {voice.digest for voice in desired.voices}
        await self._in_thread(lambda: self._loader.prune(digests))
        self._pruned_for = desired

    async def _load(self, attempt: Attempt, base: Base) -> None:
        reference, _ = attempt
        started = time.monotonic()
        try:
            voice = await self._in_thread(lambda: self._loader.load_voice(reference, base))
        except Exception as error:  # noqa: BLE001 -- one voice, whatever is wrong with it, must not stop the others
            self._record_failure(attempt, error)
        else:
            self._metrics.loads.labels("success").inc()
            self._metrics.load_duration.observe(time.monotonic() - started)
            if self._registry.promote(voice):
                log.info("%s serves revision %s", reference.id, reference.revision)
        finally:
            del self._tasks[attempt]

    def _record_failure(self, attempt: Attempt, error: Exception) -> None:
        reference, _ = attempt
        self._metrics.loads.labels("error").inc()
        backoff = self._backoffs.setdefault(attempt, Backoff())
        backoff.record_failure(time.monotonic())
        message = _public_message(error)
        self._registry.record_error(reference, message)
        log.warning(
            "%s cannot be loaded, attempt %d: %s", reference.id, backoff.failures, message, exc_info=_unexpected(error)
        )

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def _public_message(error: Exception) -> str:
    """Return the message for ``GET /v1/voices``, which callers may read."""
    return str(error) if isinstance(error, LoadError) else f"internal error: {type(error).__name__}"


def _unexpected(error: Exception) -> Exception | None:
    """Return the error when its traceback belongs in the log: it is not one of ours."""
    return None if isinstance(error, LoadError) else error
