"""The routes of what a voice's evaluation spoke: the list, and each sound."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Path, Response

from voice_inference.api import views
from voice_inference.api.documented import documented
from voice_inference.api.identity import CallerDep
from voice_inference.api.routes import NOT_LET_IN, ServicesDep

router = APIRouter()
REFUSALS = documented(*NOT_LET_IN, HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE)
MEDIA_TYPE = "audio/flac"
SOUND: dict[int | str, dict[str, Any]] = {
    200: {"content": {MEDIA_TYPE: {}}, "description": "The sentence, marked as made by AI."}
}
Name = Annotated[str, Path(description="The voice's name; `<name>@<revision>` as in a speech request.")]


@router.get("/v1/voices/{namespace}/{name}/samples", responses=REFUSALS)
async def list_samples(namespace: str, name: Name, caller: CallerDep, services: ServicesDep) -> dict[str, Any]:
    """List the sentences that were spoken when the voice was evaluated; none where its bundle has none."""
    voice, samples = await services.samples.list_of(f"{namespace}/{name}", caller.scope.allows)
    return views.sample_list(voice, samples)


@router.get(
    "/v1/voices/{namespace}/{name}/samples/{sample}",
    response_class=Response,
    responses=SOUND | REFUSALS,
)
async def get_sample(namespace: str, name: Name, sample: str, caller: CallerDep, services: ServicesDep) -> Response:
    """Return one of these sentences as FLAC."""
    voice, data = await services.samples.file(f"{namespace}/{name}", sample, caller.scope.allows)
    return Response(data, media_type=MEDIA_TYPE, headers=views.voice_headers(voice))
