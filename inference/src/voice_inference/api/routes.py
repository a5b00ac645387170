"""The HTTP interface: each route is one call."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from voice_inference.api import views
from voice_inference.api.disconnect import until_disconnect
from voice_inference.api.error_handlers import SERVER, error_response
from voice_inference.api.services import Services
from voice_inference.api.speech_request import SpeechRequest
from voice_inference.engine.audio import wav_file

router = APIRouter()
AUDIO: dict[int | str, dict[str, Any]] = {
    200: {"content": {"audio/wav": {}, "audio/pcm": {}}, "description": "The synthesised speech."}
}


def get_services(request: Request) -> Services:
    """Return the parts that the app was created with."""
    services: Services = request.app.state.services
    return services


ServicesDep = Annotated[Services, Depends(get_services)]


@router.post("/v1/audio/speech", response_class=Response, responses=AUDIO)
async def create_speech(body: SpeechRequest, request: Request, services: ServicesDep) -> Response:
    """Synthesise the text: `wav` at once with a complete header, `pcm` as a stream, sentence by sentence."""
    stream = await until_disconnect(request, services.speech.start(body))
    headers, rate = views.speech_headers(stream), stream.voice.base.sample_rate
    if body.response_format == "pcm":
        return StreamingResponse(stream.pcm(), media_type=f"audio/pcm;rate={rate};channels=1", headers=headers)
    pcm = await until_disconnect(request, stream.read())
    return Response(wav_file(pcm, rate), media_type="audio/wav", headers=headers)


@router.get("/v1/voices")
async def list_voices(services: ServicesDep) -> dict[str, Any]:
    """List the desired voices and their states; `serving` answers now, `next` is loaded beside it and does not."""
    return views.voice_list(services.registry)


@router.get("/v1/models")
async def list_models(services: ServicesDep) -> dict[str, Any]:
    """List the base models of the desired voices, in OpenAI's shape."""
    return views.model_list(services.registry)


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Report that the process answers."""
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(services: ServicesDep) -> Response:
    """Report whether to send requests here: every desired voice has been attempted once, and one of them speaks."""
    if services.registry.ready:
        return JSONResponse({"status": "ready", "generation": services.registry.generation})
    reason = views.not_ready_reason(services.registry)
    return error_response(HTTPStatus.SERVICE_UNAVAILABLE, reason, kind=SERVER, code="not_ready")


@router.get("/metrics", response_class=Response)
async def metrics(services: ServicesDep) -> Response:
    """Expose the metrics in Prometheus' text format."""
    return Response(services.metrics.render(), media_type=services.metrics.CONTENT_TYPE)
