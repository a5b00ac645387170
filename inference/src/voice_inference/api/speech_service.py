"""A speech request from the voice's name to the first audio: what stands between the route and the engine."""

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
from voice_inference.voices.registry import Voices


@dataclass(frozen=True)
class Speech:
    """A request whose first audio is there; close ``rest`` to stop it."""

    voice: Voice
    seed: int
    first: bytes
    rest: AsyncGenerator[bytes]

    async def pcm(self) -> AsyncGenerator[bytes]:
        """Yield 16-bit samples, sentence by sentence."""
        try:
            yield self.first
            async for chunk in self.rest:
                yield chunk
        finally:
            await self.rest.aclose()

    async def whole(self) -> bytes:
        """Return all samples at once."""
        return b"".join([chunk async for chunk in self.pcm()])


class Speaker:
    """Everything that speaking needs, tied together."""

    def __init__(self, voices: Voices, engine: Engine, workers: Workers, metrics: Metrics) -> None:
        self._voices = voices
        self._engine = engine
        self._workers = workers
        self._metrics = metrics

    async def begin(self, request: SpeechRequest) -> Speech:
        """Return when the first sentence is spoken, so that whatever can go wrong early still becomes a proper answer.

        Raises:
            InvalidRequest, UnknownVoice, AmbiguousVoice, VoiceNotReady, Busy, ShuttingDown, SynthesisFailed: see there.
        """
        arrived = time.monotonic()
        request.check_supported()
        voice = self._voices.find(request.voice_name)
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
            raise SynthesisFailed("nothing was spoken") from error
        self._metrics.first_audio_seconds.observe(time.monotonic() - arrived)
        return Speech(voice, seed, first, chunks)
