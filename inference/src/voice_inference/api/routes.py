"""The HTTP interface: each route is one call."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.requests import ClientDisconnect

from voice_inference.api import views
from voice_inference.api.disconnect import until_disconnect
from voice_inference.api.documented import documented
from voice_inference.api.error_handlers import INVALID, SERVER, error_response
from voice_inference.api.services import Services
from voice_inference.api.speech_events import MEDIA_TYPE, speech_events
from voice_inference.api.speech_request import SpeechRequest
from voice_inference.api.streaming import SpeechResponse
from voice_inference.engine.captions import MEDIA_TYPES, captions_file
from voice_inference.engine.encoding import FORMATS, PCM
from voice_inference.errors import Cancelled

router = APIRouter()
AUDIO: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {
            name: {}
            for name in (
                *(form.media_type for form in FORMATS.values()),
                "audio/pcm",
                MEDIA_TYPE,
                *MEDIA_TYPES.values(),
            )
        },
        "description": "The synthesised speech, in the format that was asked for.",
    }
}
SPEECH_REFUSALS = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": SpeechRequest.model_json_schema()}},
    }
}


def get_services(request: Request) -> Services:
    """Return the parts that the app was created with."""
    services: Services = request.app.state.services
    return services


async def read_speech_request(request: Request) -> SpeechRequest:
    """Return the body, read as JSON whatever its media type says: curl calls a body a form unless told otherwise.

    Raises:
        RequestValidationError: it is no JSON, or no speech request.
        Cancelled: the client has disconnected, or was too slow.
    """
    try:
        body = await request.body()
    except ClientDisconnect as error:
        raise Cancelled("The client has disconnected.") from error
    try:
        return SpeechRequest.model_validate_json(body)
    except ValidationError as error:
        raise RequestValidationError([one | {"loc": ("body", *one["loc"])} for one in error.errors()]) from error


ServicesDep = Annotated[Services, Depends(get_services)]
SpeechRequestDep = Annotated[SpeechRequest, Depends(read_speech_request)]


@router.post(
    "/v1/audio/speech",
    response_class=Response,
    responses=AUDIO | documented(*SPEECH_REFUSALS),
    openapi_extra=BODY,
)
async def create_speech(body: SpeechRequestDep, request: Request, services: ServicesDep) -> Response:
    """Synthesise the text: `wav` and `flac` as a whole, the others as a stream that begins after 0.4 s of speech."""
    stream = await until_disconnect(request, services.speech.start(body, _caller(request)))
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
    if form.streams:
        return SpeechResponse(stream, stream.audio(), media_type=form.media_type, headers=headers)
    content = await until_disconnect(request, stream.read())
    return Response(content, media_type=form.media_type, headers=headers | views.fault_headers(stream))


def _caller(request: Request) -> str:
    """Return who asks, as far as that is known: the address of the pod or proxy."""
    return request.client.host if request.client else ""


@router.get("/v1/audio/voices")
async def list_audio_voices(services: ServicesDep) -> dict[str, Any]:
    """List the voices that answer, and the names that mean one, as Open WebUI and Kokoro's clients read them."""
    return views.audio_voices(services.registry, services.settings.aliases)


@router.get("/v1/voices")
async def list_voices(services: ServicesDep) -> dict[str, Any]:
    """List the desired voices and their states; `serving` answers now, `next` is loaded beside it and does not."""
    return views.voice_list(services.registry)


@router.get("/v1/models")
async def list_models(services: ServicesDep) -> dict[str, Any]:
    """List the base models of the desired voices, in OpenAI's shape."""
    return views.model_list(services.registry)


@router.get("/v1/models/{model:path}", responses=documented(HTTPStatus.NOT_FOUND))
async def get_model(model: str, services: ServicesDep) -> Response:
    """Return one base model."""
    found = next((one for one in views.model_list(services.registry)["data"] if one["id"] == model), None)
    if found is not None:
        return JSONResponse(found)
    message = f"There is no model {model[:100]!r}; GET /v1/models lists them."
    return error_response(HTTPStatus.NOT_FOUND, message, kind=INVALID, code="model_not_found", param="model")


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """Report that the process answers."""
    return {"status": "ok"}


@router.get("/readyz", responses=documented(HTTPStatus.SERVICE_UNAVAILABLE))
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
