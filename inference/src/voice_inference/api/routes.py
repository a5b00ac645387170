"""The HTTP interface: each route is one call."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from http import HTTPStatus
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from prometheus_client import CONTENT_TYPE_LATEST

from voice_inference.api.error_handlers import SERVER, problem
from voice_inference.api.services import Services
from voice_inference.api.speech_request import SpeechRequest
from voice_inference.engine.audio import wav_file
from voice_inference.errors import Cancelled

router = APIRouter()
Result = TypeVar("Result")
AUDIO: dict[int | str, dict[str, Any]] = {
    200: {"content": {"audio/wav": {}, "audio/pcm": {}}, "description": "The spoken text."}
}


def services_of(request: Request) -> Services:
    """Return the server's parts, which the app was made with."""
    services: Services = request.app.state.services
    return services


ServicesDep = Annotated[Services, Depends(services_of)]


@router.post("/v1/audio/speech", response_class=Response, responses=AUDIO)
async def create_speech(body: SpeechRequest, request: Request, services: ServicesDep) -> Response:
    """Speak the text: `wav` as a whole with a complete header, `pcm` as it is spoken, sentence by sentence."""
    speech = await _while_connected(request, services.speaker.begin(body))
    rate = speech.voice.base.sample_rate
    headers = {
        "X-Voice": speech.voice.reference.id,
        "X-Voice-Revision": speech.voice.reference.revision,
        "X-Sample-Rate": str(rate),
        "X-Seed": str(speech.seed),
    }
    if body.response_format == "pcm":
        return StreamingResponse(speech.pcm(), media_type=f"audio/pcm;rate={rate};channels=1", headers=headers)
    pcm = await _while_connected(request, speech.whole())
    return Response(wav_file(pcm, rate), media_type="audio/wav", headers=headers)


@router.get("/v1/voices")
async def list_voices(services: ServicesDep) -> dict[str, Any]:
    """List the desired voices and how far each has come; `serving` is the revision that answers now."""
    voices = services.voices
    data = [
        {
            "id": entry.wanted.id,
            "revision": entry.wanted.revision,
            "digest": entry.wanted.digest,
            "state": entry.state,
            "error": entry.error if entry.state == "failed" else "",
            "language": entry.serving.language if entry.serving else "",
            "serving": entry.serving.reference.revision if entry.serving else "",
        }
        for entry in voices
    ]
    return {"object": "list", "generation": voices.generation, "data": data}


@router.get("/v1/models")
async def list_models(services: ServicesDep) -> dict[str, Any]:
    """List the one base model, in OpenAI's shape."""
    base = services.voices.base
    data = [{"id": base.name, "object": "model", "created": 0, "owned_by": "voice-operator"}] if base else []
    return {"object": "list", "data": data}


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Say that the process answers."""
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(services: ServicesDep) -> Response:
    """Say whether requests may be sent here: the base is loaded, and all desired voices have been tried once."""
    voices = services.voices
    if voices.ready:
        return JSONResponse({"status": "ready", "generation": voices.generation})
    if voices.base is None:
        reason = "No desired voices have been read yet; see --voices and --operator-url."
    elif voices.base_error:
        reason = voices.base_error
    else:
        waiting = [f"{entry.wanted.id} ({entry.error or entry.state})" for entry in voices if entry.state != "ready"]
        reason = f"Loading the base {voices.base.name}, or voices: {', '.join(waiting[:10]) or 'none'}."
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, reason, kind=SERVER, code="not_ready")


@router.get("/metrics", response_class=Response)
async def metrics(services: ServicesDep) -> Response:
    """Show the server's numbers in Prometheus' text format."""
    return Response(services.metrics.render(), media_type=CONTENT_TYPE_LATEST)


async def _while_connected(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """Wait for the work, and stop it when the caller hangs up.

    Raises:
        Cancelled: the caller has gone.
    """
    working = asyncio.create_task(work)
    gone = asyncio.create_task(_hang_up(request))
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Cancelled("The caller has gone.")
        return working.result()
    finally:
        for task in (working, gone):
            if not task.done():
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task


async def _hang_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
