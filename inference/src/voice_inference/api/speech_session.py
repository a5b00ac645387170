"""One client of the WebSocket: what it has written, and what is spoken of it, one sentence after the other."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections import deque
from collections.abc import Coroutine
from typing import Any, Final

from fastapi import WebSocket, WebSocketDisconnect
from pydantic import ValidationError

from sovits_core.validation import one_line
from voice_inference.access.callers import Caller
from voice_inference.api.accounting import record_of
from voice_inference.api.error_handlers import FAILED, translation_of
from voice_inference.api.identity import caller_of
from voice_inference.api.middleware import trace_of
from voice_inference.api.services import Services
from voice_inference.api.socket_messages import (
    MESSAGES,
    InputCancel,
    InputDone,
    InputFlush,
    InputText,
    Message,
    SessionConfig,
    event,
)
from voice_inference.api.speech_events import times_of
from voice_inference.api.speech_request import SpeechRequest
from voice_inference.api.speech_service import SpeechStream, Usage
from voice_inference.engine.sentence import TOKENS_PER_SECOND
from voice_inference.engine.typed_text import TypedText
from voice_inference.errors import InferenceError, InvalidRequest, TryLater

CONFIG_SECONDS: Final = 10.0
IDLE_SECONDS: Final = 120.0  # without a message, and with nothing to speak
MOST_WAITING: Final = 32_768  # characters that are written and not spoken: half an hour of speech
NORMAL, REFUSED, FAILED_CODE, RESTARTS, LATER = 1000, 1008, 1011, 1012, 1013  # of RFC 6455

log = logging.getLogger(__name__)


class SpeechSession:
    """From the first message to the last sentence."""

    def __init__(self, socket: WebSocket, services: Services, header: str | None) -> None:
        """Take an accepted connection and its ``Authorization`` header; without one the first message has the key."""
        self._socket = socket
        self._services = services
        self._header = header
        self._record = record_of(socket.scope)
        self._trace = trace_of(socket.scope)
        self._record.usage = Usage(0)
        self._text = TypedText()
        self._waiting: deque[str] = deque()
        self._is_done = False
        self._changed = asyncio.Event()  # something waits, or nothing will
        self._speaking: asyncio.Task[None] | None = None
        self._is_begun = False  # the client was told of the sentence that is being spoken,
        self._is_open = False  # and not of its end
        self._quiet_since = asyncio.get_running_loop().time()
        self._spoken = 0  # sentences

    async def run(self) -> None:
        """Speak until the client is done, or the sentence during which the process is to end; errors end it too.

        Raises:
            WebSocketDisconnect: the client has gone.
        """
        code = NORMAL
        try:
            request = await self._configure()
            await self._first_of(self._read(), self._speak_all(request), self._notice_the_end())
            if self._is_done and not self._waiting:
                await self._send("session.done", total_sentences=self._spoken)
            else:
                code = RESTARTS
        except WebSocketDisconnect:
            raise
        except asyncio.CancelledError:  # the process waits no longer
            with contextlib.suppress(Exception):
                await self._socket.close(RESTARTS)
            raise
        except Exception as error:  # noqa: BLE001 -- whatever it is, the client is told that the session ends
            code = await self._tell(error)
        await self._socket.close(code)

    async def _first_of(self, *parts: Coroutine[Any, Any, None]) -> None:
        """Run all until one ends; those that are not speaking end with errors alone."""
        tasks = {asyncio.create_task(part) for part in parts}
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        for task in ended:
            task.result()

    async def _configure(self) -> SpeechRequest:
        try:
            async with asyncio.timeout(CONFIG_SECONDS):
                config = await self._receive()
        except TimeoutError:
            raise InvalidRequest(f"session.config did not come within {CONFIG_SECONDS:.0f} s.") from None
        if not isinstance(config, SessionConfig):
            raise InvalidRequest("The first message must be session.config, with a voice.", field="type")
        if self._header is None:
            self._header = f"Bearer {config.api_key}".rstrip()
        caller = await self._identify()
        try:
            request = config.request()
        except ValidationError as error:
            raise _invalid(error) from error
        request.check_supported()
        await self._services.speech.voice_named(request.voice_name, caller.scope.allows)
        seed = secrets.randbits(32) if request.seed is None else request.seed
        await self._send("session.created", voice=request.voice_name, seed=seed)
        return request.model_copy(update={"seed": seed})

    async def _identify(self) -> Caller:
        """Return who speaks, as the key is now: it may have been taken away, or have ended."""
        return await caller_of(self._socket, self._header or "")

    async def _read(self) -> None:
        """Take messages for ever.

        Raises:
            InvalidRequest: a message is none, or comes too late, or there are too many.
        """
        while True:
            try:
                async with asyncio.timeout(IDLE_SECONDS):
                    message = await self._receive()
            except TimeoutError:
                quiet = asyncio.get_running_loop().time() - self._quiet_since
                if self._waiting or self._speaking or self._is_done or quiet < IDLE_SECONDS:
                    continue
                raise InvalidRequest(f"Nothing was written for {IDLE_SECONDS:.0f} s; open a new session.") from None
            self._take(message)
            self._changed.set()

    def _take(self, message: Message) -> None:
        match message:
            case InputCancel():
                self._text = TypedText()
                self._waiting.clear()
                if self._speaking is not None:
                    self._speaking.cancel()
            case _ if self._is_done:
                raise InvalidRequest(f"{message.type} came after input.done; open a new session.", field="type")
            case InputText():
                self._waiting.extend(self._text.add(message.text))
            case InputFlush():
                self._waiting.extend(self._text.end())
            case InputDone():
                self._waiting.extend(self._text.end())
                self._is_done = True
            case SessionConfig():
                raise InvalidRequest("session.config comes once, as the first message.", field="type")
        if sum(map(len, self._waiting)) > MOST_WAITING:
            raise InvalidRequest(
                f"More than {MOST_WAITING} characters wait to be spoken; go on writing as audio.done comes.",
                field="text",
            )

    async def _speak_all(self, request: SpeechRequest) -> None:
        """Speak what waits until the client is done, or the process is to end."""
        while not self._services.ending.is_set():
            while not self._waiting:
                if self._is_done or self._services.ending.is_set():
                    return
                self._changed.clear()
                await self._changed.wait()
            sentence = self._waiting.popleft()
            await self._speak_unless_cancelled(request.model_copy(update={"input": sentence}))

    async def _speak_unless_cancelled(self, request: SpeechRequest) -> None:
        """Speak a sentence until the client interrupts it, which it may do before the first sound."""
        self._is_begun = self._is_open = False
        self._speaking = asyncio.create_task(self._speak(request))
        try:
            await asyncio.wait([self._speaking])
            if not self._speaking.cancelled():
                self._speaking.result()
            elif self._is_open:
                await self._send("audio.done", sentence_index=self._spoken, cancelled=True)
            self._spoken += self._is_begun
        finally:
            self._speaking.cancel()
            await asyncio.wait([self._speaking])
            self._speaking, self._quiet_since = None, asyncio.get_running_loop().time()

    async def _notice_the_end(self) -> None:
        """Wake who waits for something to speak once the process is to end."""
        await self._services.ending.wait()
        self._changed.set()
        await asyncio.Event().wait()

    async def _speak(self, request: SpeechRequest) -> None:
        """Speak a sentence within the caller's limits; one without a word is told of, and is no reason to end."""
        caller = await self._identify()
        meter, characters = self._services.meters.of(caller), len(request.input)
        meter.admit(characters, caller.limits, self._services.clock())
        tokens = 0
        try:
            turn = caller.id or (self._socket.client.host if self._socket.client else "")
            try:
                stream = await self._services.speech.start(request, turn, caller.scope.allows, self._trace)
            except InferenceError as error:
                meter.refund(characters)
                if isinstance(error, InvalidRequest) and error.field == "input":
                    self._is_begun = True
                    await self._tell(error, sentence_index=self._spoken, sentence_text=request.input)
                    return
                raise
            try:
                await self._send_file(stream, request)
            finally:
                await stream.close()
                tokens = stream.usage.tokens
                self._account(stream)
        finally:
            meter.release(tokens / TOKENS_PER_SECOND)

    async def _send_file(self, stream: SpeechStream, request: SpeechRequest) -> None:
        about = {"sentence_index": self._spoken}
        rate, form = stream.voice.base.sample_rate, request.response_format
        self._is_begun = self._is_open = True
        await self._send("audio.start", **about, sentence_text=request.input, format=form, sample_rate=rate)
        async for item in stream.all():
            if isinstance(item, bytes):
                await self._socket.send_bytes(item)
            else:
                await self._send("audio.timestamps", **about, **times_of(item))
        faults = {"faults": dict(stream.usage.faults)} if stream.usage.faults else {}
        await self._send("audio.done", **about, **faults)
        self._is_open = False

    def _account(self, stream: SpeechStream) -> None:
        self._record.voice = stream.voice.reference.id
        total = self._record.usage or Usage(0)
        total.characters += stream.usage.characters
        total.tokens += stream.usage.tokens
        total.faults.update(stream.usage.faults)

    async def _receive(self) -> Message:
        """Return the next message.

        Raises:
            WebSocketDisconnect: the client has gone.
            InvalidRequest: it is no message of this contract.
        """
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", FAILED_CODE))
        text = message.get("text")
        if text is None:
            raise InvalidRequest("Messages are JSON, in text frames.")
        try:
            return MESSAGES.validate_json(text)
        except ValidationError as error:
            raise _invalid(error) from error

    async def _send(self, kind: str, **fields: object) -> None:
        await self._socket.send_json(event(kind, **fields))

    async def _tell(self, error: Exception, **about: object) -> int:
        """Tell the client of an error; return the code by which a session ends of it."""
        known = translation_of(error)
        if known is None:
            log.error("a session failed", exc_info=error)
            await self._send("error", **about, message=FAILED, code="internal_error", param=None)
            return FAILED_CODE
        later = {"retry_after": error.retry_after} if isinstance(error, TryLater) else {}
        await self._send("error", **about, message=str(error), code=known.code, param=known.param, **later)
        return LATER if later else REFUSED if known.status < 500 else FAILED_CODE


def _invalid(error: ValidationError) -> InvalidRequest:
    field = next((str(part) for part in reversed(error.errors()[0]["loc"]) if isinstance(part, str)), None)
    return InvalidRequest(f"The message is not valid: {one_line(error)}.", field=field)
