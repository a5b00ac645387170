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
from voice_inference.api.documented import documented, json_body
from voice_inference.api.error_handlers import INVALID, SERVER, error_response
from voice_inference.api.identity import CallerDep, identify
from voice_inference.api.services import Services
from voice_inference.api.speech_answer import answer_speech
from voice_inference.api.speech_events import MEDIA_TYPE
from voice_inference.api.speech_request import SpeechRequest
from voice_inference.engine.captions import MEDIA_TYPES
from voice_inference.engine.encoding import FORMATS
from voice_inference.errors import Cancelled

router = APIRouter()
NOT_LET_IN = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
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
    *NOT_LET_IN,
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.SERVICE_UNAVAILABLE,
)


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
    openapi_extra=json_body(SpeechRequest),
)
async def create_speech(caller: CallerDep, body: SpeechRequestDep, request: Request, services: ServicesDep) -> Response:
    """Synthesise the text: `wav` and `flac` as a whole, the others as a stream that begins after 0.4 s of speech."""
    return await answer_speech(caller, body, request, services)


@router.get("/v1/audio/voices", responses=documented(*NOT_LET_IN))
async def list_audio_voices(caller: CallerDep, services: ServicesDep) -> dict[str, Any]:
    """List the voices that answer, and the names that mean one, as Open WebUI and Kokoro's clients read them."""
    return views.audio_voices(services.registry, services.settings.aliases, caller.scope)


@router.get("/v1/audio/models", responses=documented(*NOT_LET_IN))
async def list_audio_models(caller: CallerDep, services: ServicesDep) -> dict[str, Any]:
    """List the base models as Open WebUI reads them."""
    return {"models": [{"id": one["id"]} for one in views.model_list(services.registry, caller.scope)["data"]]}


@router.get("/v1/voices", responses=documented(*NOT_LET_IN))
async def list_voices(caller: CallerDep, services: ServicesDep) -> dict[str, Any]:
    """List the desired voices and their states; `serving` answers now, `next` is loaded beside it and does not."""
    return views.voice_list(services.registry, caller.scope)


@router.get("/v1/models", responses=documented(*NOT_LET_IN))
async def list_models(caller: CallerDep, services: ServicesDep) -> dict[str, Any]:
    """List the base models of the desired voices, in OpenAI's shape."""
    return views.model_list(services.registry, caller.scope)


@router.get("/v1/models/{model:path}", responses=documented(*NOT_LET_IN, HTTPStatus.NOT_FOUND))
async def get_model(model: str, caller: CallerDep, services: ServicesDep) -> Response:
    """Return one base model."""
    models = views.model_list(services.registry, caller.scope)["data"]
    found = next((one for one in models if one["id"] == model), None)
    if found is not None:
        return JSONResponse(found)
    message = f"There is no model {model[:100]!r}; GET /v1/models lists them."
    return error_response(HTTPStatus.NOT_FOUND, message, kind=INVALID, code="model_not_found", param="model")


@router.get("/v1/usage", responses=documented(*NOT_LET_IN))
async def get_usage(caller: CallerDep, services: ServicesDep) -> dict[str, Any]:
    """Tell what the caller has used of this process since it first asked; replicas count for themselves."""
    return views.usage(caller, services.meters.of(caller), services.clock())


@router.get("/healthz")
@router.get("/health")
async def healthz() -> dict[str, str]:
    """Report that the process answers; `/health` is where Kokoro's clients ask."""
    return {"status": "ok"}


@router.get("/readyz", responses=documented(HTTPStatus.SERVICE_UNAVAILABLE))
async def readyz(services: ServicesDep) -> Response:
    """Report whether to send requests here: every desired voice has been attempted once, and one of them speaks."""
    if services.registry.ready:
        return JSONResponse({"status": "ready", "generation": services.registry.generation})
    reason = views.not_ready_reason(services.registry, names=services.gate.is_open)
    return error_response(HTTPStatus.SERVICE_UNAVAILABLE, reason, kind=SERVER, code="not_ready")


@router.get("/metrics", response_class=Response, responses=documented(*NOT_LET_IN))
async def metrics(request: Request, services: ServicesDep) -> Response:
    """Expose the metrics in Prometheus' text format; those by key only to who may use all voices."""
    by_key = False
    if "authorization" in request.headers:
        by_key = (await identify(request, None)).scope.has_everything
    return Response(services.metrics.render(by_key=by_key), media_type=services.metrics.CONTENT_TYPE)
