"""``/tts`` as GPT-SoVITS' own api_v2.py has it, with a voice's name in place of paths on the server."""

from __future__ import annotations

import struct
from collections.abc import AsyncGenerator, Mapping
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response

from voice_inference.access.callers import Caller
from voice_inference.api import views
from voice_inference.api.disconnect import until_disconnect
from voice_inference.api.documented import documented
from voice_inference.api.identity import CallerDep
from voice_inference.api.official_request import OfficialRequest
from voice_inference.api.routes import SPEECH_REFUSALS, ServicesDep
from voice_inference.api.services import Services
from voice_inference.api.speech_answer import begin_speech
from voice_inference.api.speech_service import SpeechStream
from voice_inference.api.streaming import SpeechResponse, WholeFile
from voice_inference.engine.notice import tags_of

MEDIA_TYPES: Final = {"wav": "audio/wav", "raw": "audio/raw", "ogg": "audio/ogg", "aac": "audio/aac"}
INFO: Final = {"title": b"INAM", "comment": b"ICMT"}  # chunks of a WAV file, by what FFmpeg calls them
UNKNOWN_SIZE: Final = 0xFFFFFFFF  # of a WAV file that is still being written
ANSWER: dict[int | str, dict[str, Any]] = {
    200: {"content": {name: {} for name in MEDIA_TYPES.values()}, "description": "The synthesised speech."},
    **documented(*SPEECH_REFUSALS),
}

router = APIRouter(tags=["GPT-SoVITS"])


@router.get("/tts", response_class=Response, responses=ANSWER)
async def get_tts(
    query: Annotated[OfficialRequest, Query()], caller: CallerDep, request: Request, services: ServicesDep
) -> Response:
    """Speak as GPT-SoVITS' own server does; `ref_audio_path` is a voice's name."""
    return await _answer(query, caller, request, services)


@router.post("/tts", response_class=Response, responses=ANSWER)
async def post_tts(body: OfficialRequest, caller: CallerDep, request: Request, services: ServicesDep) -> Response:
    """Speak as GPT-SoVITS' own server does; `ref_audio_path` is a voice's name."""
    return await _answer(body, caller, request, services)


async def _answer(asked: OfficialRequest, caller: Caller, request: Request, services: Services) -> Response:
    meant, media_type = asked.meaning(), MEDIA_TYPES[asked.media_type]
    streams = bool(asked.streaming_mode) and not services.speech.signs(meant.response_format)
    streams_wav = streams and asked.media_type == "wav"
    if streams_wav:
        meant = meant.model_copy(update={"response_format": "pcm"})
    stream = await begin_speech(caller, meant, request, services)
    headers = views.speech_headers(stream, asked.ignored)
    if streams:
        parts = _open_wav(stream) if streams_wav else stream.audio()
        return SpeechResponse(stream, parts, media_type=media_type, headers=headers)
    content = await until_disconnect(request, stream.read())
    return WholeFile(content, media_type=media_type, headers=headers | views.fault_headers(stream))


async def _open_wav(stream: SpeechStream) -> AsyncGenerator[bytes]:
    """Yield a WAV file whose length is not known when it begins."""
    rate = stream.voice.base.sample_rate
    form = struct.pack("<HHIIHH", 1, 1, rate, 2 * rate, 2, 16)  # PCM, mono, 16 bit
    sizes = struct.pack("<I", UNKNOWN_SIZE)
    yield b"RIFF" + sizes + b"WAVE" + _chunk(b"fmt ", form) + _info(tags_of(stream.voice.reference.id))
    yield b"data" + sizes
    async for chunk in stream.audio():
        yield chunk


def _info(tags: Mapping[str, str]) -> bytes:
    """Return what a WAV file says of itself."""
    return _chunk(b"LIST", b"INFO" + b"".join(_chunk(INFO[name], f"{text}\0".encode()) for name, text in tags.items()))


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
