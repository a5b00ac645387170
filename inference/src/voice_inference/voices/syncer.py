"""Brings the served voices to the desired ones, again and again, beside the requests."""

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
from voice_inference.voices.registry import Voices

PARALLEL_LOADS = 4  # downloads wait for the network, so more than the cores
FIRST_RETRY_SECONDS = 2.0
LAST_RETRY_SECONDS = 60.0

log = logging.getLogger(__name__)
Result = TypeVar("Result")


class Source(Protocol):
    """Where the desired voices are read; blocks."""

    def latest(self) -> DesiredVoices | None:
        """Return the newest document, or nothing while there is none."""
        ...


class Loader(Protocol):
    """Turns references into loaded things; blocks, and raises ``LoadError``."""

    def load_base(self, reference: BaseReference) -> Base:
        """Fetch, check and load a base."""
        ...

    def load_voice(self, reference: VoiceReference, base: Base) -> Voice:
        """Fetch, check and load a voice for the base."""
        ...

    def forget_except(self, digests: set[str]) -> None:
        """Remove cached bundles that are not wanted any more."""
        ...


@dataclass
class Retry:
    """When the next attempt is due after so many failed ones; in seconds of the monotonic clock."""

    failures: int = 0
    due: float = 0.0

    def failed(self, now: float) -> None:
        """Wait twice as long as the last time."""
        self.due = now + min(FIRST_RETRY_SECONDS * 2**self.failures, LAST_RETRY_SECONDS)
        self.failures = min(self.failures + 1, 16)


Attempt = tuple[VoiceReference, BaseReference]


class Agent:
    """The only writer of ``Voices``."""

    def __init__(
        self, source: Source, loader: Loader, voices: Voices, metrics: Metrics, *, poll_seconds: float
    ) -> None:
        self._source = source
        self._loader = loader
        self._voices = voices
        self._metrics = metrics
        self._poll_seconds = poll_seconds
        self._base: Base | None = None
        self._base_retry = Retry()
        self._tasks: dict[Attempt, asyncio.Task[None]] = {}
        self._retries: dict[Attempt, Retry] = {}
        self._tidied: DesiredVoices | None = None
        self._threads = ThreadPoolExecutor(PARALLEL_LOADS, thread_name_prefix="load")

    async def run(self) -> None:
        """Look, load, wait; until cancelled."""
        try:
            while True:
                try:
                    await self._look()
                except Exception:  # a server without its agent would serve what it has for ever
                    log.exception("the desired voices could not be followed; trying again")
                await asyncio.sleep(self._poll_seconds)
        finally:
            for task in self._tasks.values():
                task.cancel()
            self._threads.shutdown(wait=False, cancel_futures=True)

    async def _look(self) -> None:
        desired = await self._in_thread(self._source.latest)
        if desired is not None:
            await self._converge(desired)

    async def _converge(self, desired: DesiredVoices) -> None:
        self._voices.follow(desired)
        base = await self._base_for(desired.base)
        if base is None:
            return
        attempts = {(entry.wanted, entry.base) for entry in self._voices if entry.state != "ready"}
        self._retries = {attempt: retry for attempt, retry in self._retries.items() if attempt in attempts}
        for attempt in attempts - self._tasks.keys():
            if time.monotonic() >= self._retries.setdefault(attempt, Retry()).due:
                self._tasks[attempt] = asyncio.create_task(self._load(attempt, base))
        if not self._tasks and self._tidied != desired:
            wanted = {base.digest} | {voice.digest for voice in desired.voices}
            await self._in_thread(lambda: self._loader.forget_except(wanted))
            self._tidied = desired

    async def _base_for(self, reference: BaseReference) -> Base | None:
        """Return the desired base, loading it beside the present one, whose voices serve on until theirs are loaded."""
        if self._base and self._base.reference == reference:
            return self._base
        if time.monotonic() < self._base_retry.due:
            return None
        try:
            self._base = await self._in_thread(lambda: self._loader.load_base(reference))
        except Exception as error:
            self._voices.fail_base(reference, _explain(error))
            self._base_retry.failed(time.monotonic())
            log.warning("%s", self._voices.base_error, exc_info=_unexpected(error))
            return None
        log.info("the base %s is loaded", reference.name)
        self._base_retry = Retry()
        self._voices.base_loaded()
        return self._base

    async def _load(self, attempt: Attempt, base: Base) -> None:
        reference, _ = attempt
        started = time.monotonic()
        try:
            voice = await self._in_thread(lambda: self._loader.load_voice(reference, base))
        except Exception as error:  # noqa: BLE001 -- one voice, whatever is wrong with it, must not stop the others
            self._failed(attempt, error)
        else:
            self._metrics.loads.labels("ready").inc()
            self._metrics.load_seconds.observe(time.monotonic() - started)
            if self._voices.put(voice):
                log.info("%s serves revision %s", reference.id, reference.revision)
        finally:
            del self._tasks[attempt]

    def _failed(self, attempt: Attempt, error: Exception) -> None:
        reference, _ = attempt
        self._metrics.loads.labels("failed").inc()
        retry = self._retries.setdefault(attempt, Retry())
        retry.failed(time.monotonic())
        message = _explain(error)
        self._voices.fail(reference, message)
        log.warning(
            "%s cannot be loaded, attempt %d: %s", reference.id, retry.failures, message, exc_info=_unexpected(error)
        )

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


def _explain(error: Exception) -> str:
    """Return what people may see in ``GET /v1/voices``."""
    return str(error) if isinstance(error, LoadError) else f"internal error: {type(error).__name__}"


def _unexpected(error: Exception) -> Exception | None:
    """Return the error when its traceback belongs in the log: nobody planned for it."""
    return None if isinstance(error, LoadError) else error
