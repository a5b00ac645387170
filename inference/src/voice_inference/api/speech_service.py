"""From a speech request to PCM chunks: voice, seed and language are resolved, a worker runs the engine."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass

from voice_inference.api.speech_request import SpeechRequest
from voice_inference.bundles.voice import Voice
from voice_inference.engine.audio import to_pcm
from voice_inference.engine.engine import Engine
from voice_inference.engine.workers import IsCancelled, Workers
from voice_inference.errors import SynthesisFailed
from voice_inference.metrics import Metrics
from voice_inference.voices.registry import VoiceRegistry


@dataclass(frozen=True)
class SpeechStream:
    """A request whose first segment is synthesised; close ``rest`` to stop it."""

    voice: Voice
    seed: int
    first: bytes
    rest: AsyncGenerator[bytes]

    async def pcm(self) -> AsyncGenerator[bytes]:
        """Yield 16-bit samples, segment by segment."""
        try:
            yield self.first
            async for chunk in self.rest:
                yield chunk
        finally:
            await self.rest.aclose()

    async def read(self) -> bytes:
        """Return all samples at once."""
        return b"".join([chunk async for chunk in self.pcm()])


class SpeechService:
    """Speech requests over the registry, the engine and the workers."""

    def __init__(self, registry: VoiceRegistry, engine: Engine, workers: Workers, metrics: Metrics) -> None:
        self._registry = registry
        self._engine = engine
        self._workers = workers
        self._metrics = metrics

    async def start(self, request: SpeechRequest) -> SpeechStream:
        """Return when the first segment is synthesised, so that early errors still get a status code of their own.

        Raises:
            InvalidRequest: a field has a value that this server does not support, or there is nothing to speak.
            UnknownVoice, ConsentEnded: the voice cannot be found.
            VoiceNotReady: the voice is not loaded.
            Busy, ShuttingDown: no worker takes the request.
            SynthesisFailed: the networks returned no proper audio.
        """
        received = time.monotonic()
        request.check_supported()
        voice = self._registry.find(request.voice_name)
        seed = secrets.randbits(32) if request.seed is None else request.seed
        language = request.language or voice.language

        def produce(is_cancelled: IsCancelled) -> Iterator[bytes]:
            segments = self._engine.synthesize(
                voice, request.input, language=language, seed=seed, is_cancelled=is_cancelled
            )
            yield from (to_pcm(segment.samples) for segment in segments)

        chunks = self._workers.stream(produce)
        try:
            first = await anext(chunks)
        except StopAsyncIteration as error:
            raise SynthesisFailed("no segment was synthesised") from error
        self._metrics.time_to_first_audio.observe(time.monotonic() - received)
        return SpeechStream(voice, seed, first, chunks)
