"""``POST /`` and ``/speakers``, as SillyTavern's clients of GPT-SoVITS ask."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from voice_inference.api import views
from voice_inference.api.documented import documented
from voice_inference.api.identity import CallerDep
from voice_inference.api.routes import AUDIO, NOT_LET_IN, SPEECH_REFUSALS, ServicesDep
from voice_inference.api.sillytavern_request import SillyTavernRequest
from voice_inference.api.speech_answer import answer_speech

router = APIRouter(tags=["SillyTavern"])


@router.get("/speakers", responses=documented(*NOT_LET_IN))
async def list_speakers(caller: CallerDep, services: ServicesDep) -> list[dict[str, str]]:
    """List the voices that answer, and the names that mean one."""
    found = views.audio_voices(services.registry, services.settings.aliases, caller.scope)["voices"]
    return [{"name": one["name"], "voice_id": one["id"]} for one in found]


@router.post("/", response_class=Response, responses=AUDIO | documented(*SPEECH_REFUSALS))
async def speak(body: SillyTavernRequest, caller: CallerDep, request: Request, services: ServicesDep) -> Response:
    """Speak for SillyTavern's GPT-SoVITS-V2 and GPT-SoVITS-Adapter."""
    return await answer_speech(caller, body.meaning(), request, services)
