"""``/v1/audio/speech/stream``: a WebSocket that speaks a text while it is still being written."""

from __future__ import annotations

from contextlib import suppress
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from voice_inference.api.error_handlers import answer_to, error_response
from voice_inference.api.identity import caller_of
from voice_inference.api.services import Services
from voice_inference.api.speech_session import SpeechSession
from voice_inference.errors import InferenceError

PATH: Final = "/v1/audio/speech/stream"

router = APIRouter()


@router.websocket(PATH)
async def speak_typed_text(socket: WebSocket) -> None:
    """Speak whole sentences of what the client writes, each as a file of its own in frames, until it is done."""
    services: Services = socket.app.state.services
    if not is_from_here(socket.headers.get("origin"), socket.headers.get("host", ""), services.settings.cors_origins):
        message = "Pages of this origin may not speak here; add it to the server's --cors-origins."
        await socket.send_denial_response(error_response(HTTPStatus.FORBIDDEN, message, code="origin_not_allowed"))
        return
    header = socket.headers.get("authorization", "" if services.gate.is_open else None)
    try:
        if header is not None:
            await caller_of(socket, header)
    except InferenceError as error:
        await socket.send_denial_response(answer_to(error))
        return
    await socket.accept()
    with suppress(WebSocketDisconnect):
        await SpeechSession(socket, services, header).run()


def is_from_here(origin: str | None, host: str, allowed: tuple[str, ...]) -> bool:
    """Return whether a page of this origin may open a WebSocket; browsers ask nobody else, and others name none."""
    return origin is None or origin in allowed or "*" in allowed or urlsplit(origin).netloc == host != ""
