"""What a voice's evaluation spoke, for whoever may use the voice: read from the store, and marked as all speech is."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

import av

from voice_inference.api.speech_service import SpeechService
from voice_inference.bundles.loader import Loader
from voice_inference.bundles.samples import Sample
from voice_inference.bundles.voice import Voice
from voice_inference.engine.decoding import decode
from voice_inference.errors import InvalidVoice, LoadError, UnknownSample, VoiceNotReady
from voice_inference.voices.registry import RETRY_AFTER_SECONDS

FORM: Final = "flac"
MAX_SECONDS: Final = 120.0
THREADS: Final = 2  # of their own: a store that hangs holds up nobody who speaks

Result = TypeVar("Result")


class SampleService:
    """Samples of the voices that speak here."""

    def __init__(self, loader: Loader, speech: SpeechService) -> None:
        self._loader = loader
        self._speech = speech
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="samples")

    async def list_of(self, name: str, may_use: Callable[[str], bool]) -> tuple[Voice, tuple[Sample, ...]]:
        """Return the voice of a name, as in a speech request, and its samples.

        Raises:
            UnknownVoice, UnknownRevision, ConsentEnded: the voice cannot be found.
            VoiceNotReady: it is not loaded, or its bundle cannot be read now.
        """
        voice = await self._speech.voice_named(name, may_use)
        return voice, await self._read(voice, lambda: self._loader.samples(voice.reference))

    async def file(self, name: str, sample: str, may_use: Callable[[str], bool]) -> tuple[Voice, bytes]:
        """Return the voice and a sample of it as a file that says that a machine made it.

        Raises:
            UnknownSample: it has no such sample.
            UnknownVoice, UnknownRevision, ConsentEnded, VoiceNotReady: as ``list_of``.
        """
        voice = await self._speech.voice_named(name, may_use)
        data = await self._read(voice, lambda: self._marked(voice, sample))
        if data is None:
            raise UnknownSample(voice.reference.id, sample)
        return voice, data

    def close(self) -> None:
        """Read nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _marked(self, voice: Voice, sample: str) -> bytes | None:
        data = self._loader.sample(voice.reference, sample)
        if data is None:
            return None
        try:
            with av.open(io.BytesIO(data), "r", format=FORM) as container:
                samples = decode(container, voice.base.sample_rate, max_seconds=MAX_SECONDS)
        except (OSError, ValueError) as error:
            raise InvalidVoice(f"its sample {sample} is no FLAC file") from error
        if not samples.size:
            raise InvalidVoice(f"its sample {sample} has no sound")
        encoder = self._speech.encoder(FORM, voice.base.sample_rate, 1.0, voice.reference.id)
        return encoder.feed(samples) + encoder.finish()

    async def _read(self, voice: Voice, work: Callable[[], Result]) -> Result:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except LoadError as error:
            message = f"The samples of {voice.reference.id} cannot be read: {error}."
            raise VoiceNotReady(message, retry_after=RETRY_AFTER_SECONDS) from error
