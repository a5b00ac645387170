"""From a speech request to its HTTP answer: within the caller's limits, as a file, a stream or events."""

from __future__ import annotations

from fastapi import Request, Response

from voice_inference.access.callers import Caller
from voice_inference.api import views
from voice_inference.api.accounting import record_of
from voice_inference.api.disconnect import until_disconnect
from voice_inference.api.middleware import trace_of
from voice_inference.api.services import Services
from voice_inference.api.speech_events import MEDIA_TYPE, speech_events
from voice_inference.api.speech_request import SpeechRequest
from voice_inference.api.speech_service import SpeechStream
from voice_inference.api.streaming import SpeechResponse, WholeFile
from voice_inference.engine.captions import MEDIA_TYPES, captions_file
from voice_inference.engine.encoding import FORMATS, PCM
from voice_inference.errors import InferenceError


async def answer_speech(caller: Caller, body: SpeechRequest, request: Request, services: Services) -> Response:
    """Begin to speak, and return the answer that goes on with it.

    Raises:
        InferenceError: nothing can be spoken, or not now; see the classes.
    """
    stream = await begin_speech(caller, body, request, services)
    headers = views.speech_headers(stream, body.ignored)
    if body.stream_format == "sse":
        return SpeechResponse(stream, speech_events(stream), media_type=MEDIA_TYPE, headers=headers)
    if body.caption_format:
        captions = await until_disconnect(request, stream.captions())
        file = captions_file(captions, body.caption_format)
        return Response(file, media_type=MEDIA_TYPES[body.caption_format], headers=headers)
    if body.response_format == PCM:
        rate = stream.voice.base.sample_rate
        media_type = f"audio/pcm;rate={rate};channels=1"
        return SpeechResponse(stream, stream.audio(), media_type=media_type, headers=headers)
    form = FORMATS[body.response_format]
    if services.speech.streams(body.response_format):
        return SpeechResponse(stream, stream.audio(), media_type=form.media_type, headers=headers)
    content = await until_disconnect(request, stream.read())
    return WholeFile(content, media_type=form.media_type, headers=headers | views.fault_headers(stream))


async def begin_speech(caller: Caller, body: SpeechRequest, request: Request, services: Services) -> SpeechStream:
    """Begin to speak for a caller, within its limits; what is refused after all costs it no characters."""
    record, meter = record_of(request.scope), services.meters.of(caller)
    characters = len(body.input)
    meter.admit(characters, caller.limits, services.clock())
    record.meter = meter
    try:
        turn = caller.id or (request.client.host if request.client else "")  # whose turn it is at the workers
        started = services.speech.start(body, turn, caller.scope.allows, trace_of(request.scope))
        stream = await until_disconnect(request, started)
    except InferenceError:
        meter.refund(characters)
        raise
    record.voice, record.usage = stream.voice.reference.id, stream.usage
    return stream
