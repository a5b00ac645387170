"""From a speech request to encoded chunks: voice, seed and language are resolved, a worker runs the engine."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from voice_inference.api.speech_request import SpeechRequest
from voice_inference.bundles.voice import Voice
from voice_inference.engine.captions import Caption, Captioner
from voice_inference.engine.checks import Fault
from voice_inference.engine.encoding import Encoder, open_encoder, streams
from voice_inference.engine.engine import Engine
from voice_inference.engine.listening import LANGUAGE, Listener
from voice_inference.engine.notice import tags_of
from voice_inference.engine.provenance import Signer, SigningEncoder
from voice_inference.engine.sentence import Options, Segment
from voice_inference.engine.watermark import Watermark
from voice_inference.engine.workers import IsCancelled, Workers
from voice_inference.errors import InvalidRequest, LoadError, RevisionNotLoaded, SynthesisFailed, VoiceNotReady
from voice_inference.metrics import Metrics
from voice_inference.tracing import NO_TRACE, Trace
from voice_inference.voices.registry import RETRY_AFTER_SECONDS, VoiceRegistry

LOAD_SECONDS = 10.0  # that a request waits for a revision which is loaded because of it
LOOK_SECONDS = 0.1


@dataclass
class Usage:
    """What a request has cost so far."""

    characters: int
    tokens: int = 0  # semantic tokens, 25 per second of speech
    faults: Counter[Fault] = field(default_factory=Counter)  # that sentences have after all attempts

    def add(self, segment: Segment) -> None:
        """Count a segment."""
        self.tokens += segment.tokens.size
        self.faults.update(segment.faults)


@dataclass(frozen=True)
class SpeechStream:
    """A request whose first segment is there; close ``rest`` to stop it."""

    voice: Voice
    seed: int
    first: bytes | Caption
    rest: AsyncGenerator[bytes | Caption]
    usage: Usage = field(default_factory=lambda: Usage(0))

    async def all(self) -> AsyncGenerator[bytes | Caption]:
        """Yield the file in the format that was asked for, as it is made, and captions where these are asked for."""
        if self.first:
            yield self.first
        async for item in self.rest:
            if item:  # encoders keep some samples for later
                yield item

    async def audio(self) -> AsyncGenerator[bytes]:
        """Yield the file alone."""
        async for item in self.all():
            if isinstance(item, bytes):
                yield item

    async def read(self) -> bytes:
        """Return the whole file."""
        try:
            return b"".join([chunk async for chunk in self.audio()])
        finally:
            await self.close()

    async def captions(self) -> list[Caption]:
        """Return the captions alone."""
        try:
            return [item async for item in self.all() if isinstance(item, Caption)]
        finally:
            await self.close()

    async def close(self) -> None:
        """Stop what is still being spoken."""
        await self.rest.aclose()


class SpeechService:
    """Speech requests over the registry, the engine and the workers."""

    def __init__(
        self,
        registry: VoiceRegistry,
        engine: Engine,
        workers: Workers,
        metrics: Metrics,
        aliases: Mapping[str, str] | None = None,
        *,
        verify: bool = False,
        signer: Signer | None = None,
        signed: Collection[str] = (),
        watermark: Watermark | None = None,
    ) -> None:
        """Take the parts; ``aliases`` are names that mean a voice, as clients of OpenAI ask for `alloy`.

        With ``verify`` sentences in English are listened to, unless a request says otherwise. With a signer, files of
        the formats ``signed`` get a manifest. With a watermark each sentence gets it, and comes whole.
        """
        self._watermark = watermark
        self._signer = signer
        self._signed = signed if signer is not None else ()
        self._listener = Listener()
        self._verify = verify
        self._aliases = aliases or {}
        self._registry = registry
        self._engine = engine
        self._workers = workers
        self._metrics = metrics

    async def start(
        self,
        request: SpeechRequest,
        caller: str = "",
        may_use: Callable[[str], bool] = lambda _: True,
        trace: Trace = NO_TRACE,
    ) -> SpeechStream:
        """Return when the first segment is there, so that early errors still get a status code of their own.

        Where the format streams, that is the first 0.4 s of the first sentence; else the sentence.

        Callers take turns at the workers; ``may_use`` says which voices, by id, there are for this one. Spans of the
        work go below ``trace``.

        Raises:
            InvalidRequest: a field has a value that this server does not support, or there is nothing to speak.
            UnknownVoice, UnknownRevision, ConsentEnded: the voice cannot be found.
            VoiceNotReady: the voice is not loaded.
            Busy, ShuttingDown: no worker takes the request.
            SynthesisFailed: the networks returned no proper audio.
        """
        received = time.monotonic()
        request.check_supported()
        voice = await _in_memory(await self.voice_named(request.voice_name, may_use))
        seed = secrets.randbits(32) if request.seed is None else request.seed
        language = request.language or voice.language
        listener = self._listener_for(request, language)
        options = Options(
            self.streams(request.response_format) and self._watermark is None,
            listener,
            request.sampling(voice),
            request.split_method,
            request.readings(),
            request.known_locale(),
            caller,
        )
        wants_captions = bool(request.timestamps or request.caption_format)
        usage = Usage(len(request.input))

        def produce(is_cancelled: IsCancelled) -> Iterator[bytes | Caption]:
            about: dict[str, Any] = {"voice": voice.reference.id, "language": language}
            about |= {"format": request.response_format, "characters": len(request.input)}
            with trace.child("speak", **about) as span:
                yield from encoded(is_cancelled, replace(options, trace=span))
                span.note(tokens=usage.tokens, faults=usage.faults.total())

        def encoded(is_cancelled: IsCancelled, options: Options) -> Iterator[bytes | Caption]:
            rate, form = voice.base.sample_rate, request.response_format
            encoder = None if request.caption_format else self.encoder(form, rate, request.speed, voice.reference.id)
            captioner = Captioner(rate, request.speed, self._listener if request.timestamps == "word" else None)
            for segment in self._engine.synthesize(
                voice,
                request.input,
                language=language,
                seed=seed,
                is_cancelled=is_cancelled,
                options=options,
            ):
                usage.add(segment)
                if encoder:
                    mark = self._watermark
                    yield encoder.feed(mark.mark(segment.samples, rate) if mark else segment.samples)
                if wants_captions and (caption := captioner.add(segment)):
                    yield caption
            if encoder:
                yield encoder.finish()

        chunks = self._workers.stream(produce, caller)
        try:
            first = await anext(chunks)
        except StopAsyncIteration as error:
            raise SynthesisFailed("no segment was synthesised") from error
        self._metrics.time_to_first_audio.observe(time.monotonic() - received)
        return SpeechStream(voice, seed, first, chunks, usage)

    def streams(self, form: str) -> bool:
        """Tell whether a format is heard while the rest is spoken; a file that is signed must be whole."""
        return streams(form) and form not in self._signed

    def signs(self, form: str) -> bool:
        """Tell whether files of a format get a manifest."""
        return form in self._signed

    def encoder(self, form: str, rate: int, speed: float, voice: str) -> Encoder:
        """Return what makes a file of a voice, by its id, that says that a machine made it."""
        encoder = open_encoder(form, rate, speed=speed, tags=tags_of(voice))
        if self._signer is None or form not in self._signed:
            return encoder
        return SigningEncoder(encoder, self._signer, form, voice)

    async def voice_named(self, name: str, may_use: Callable[[str], bool]) -> Voice:
        """Return the voice of a name or an alias; waits a while for a revision that nobody has asked for before.

        Raises:
            UnknownVoice, UnknownRevision, ConsentEnded: the voice cannot be found.
            VoiceNotReady: the voice is not loaded.
        """
        asked, at, revision = name.partition("@")
        meant = self._aliases.get(asked, "")
        name = f"{meant}{at}{revision}" if meant and may_use(meant) else name
        until = time.monotonic() + LOAD_SECONDS
        while True:
            try:
                return self._registry.find(name, may_use)
            except RevisionNotLoaded:
                if time.monotonic() > until:
                    raise
            await asyncio.sleep(LOOK_SECONDS)

    def _listener_for(self, request: SpeechRequest, language: str) -> Listener | None:
        """Return who listens to what is spoken.

        Raises:
            InvalidRequest: the request asks for it in a language that nobody here understands.
        """
        for field_, asked in (("verify", request.verify), ("timestamps", request.timestamps == "word")):
            if asked and language != LANGUAGE:
                message = f"{field_}: words are listened for in language {LANGUAGE!r} only, not in {language!r}."
                raise InvalidRequest(message, field=field_)
        wanted = self._verify if request.verify is None else request.verify
        return self._listener if wanted and language == LANGUAGE else None


async def _in_memory(voice: Voice) -> Voice:
    """Return the voice with its adapter, which may have to be read from the cache folder."""
    try:
        return await asyncio.to_thread(voice.pinned)
    except LoadError as error:  # it is just being replaced, or somebody wrote there
        raise VoiceNotReady(f"Voice {voice.reference.id}: {error}.", retry_after=RETRY_AFTER_SECONDS) from error
