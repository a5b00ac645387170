"""Speech as server-sent events, as OpenAI's API sends them with ``stream_format: sse``."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import AsyncGenerator
from typing import Any, Final

from voice_inference.api.speech_service import SpeechStream
from voice_inference.errors import InferenceError

MEDIA_TYPE: Final = "text/event-stream"

log = logging.getLogger(__name__)


async def speech_events(stream: SpeechStream) -> AsyncGenerator[bytes]:
    """Yield ``speech.audio.delta`` events with audio in base64, then ``speech.audio.done`` with what it has cost.

    An error after the first event becomes the last one, ``error``: the status was sent long before.
    """
    try:
        async for chunk in stream.audio():
            yield _event({"type": "speech.audio.delta", "audio": base64.b64encode(chunk).decode()})
    except InferenceError as error:
        log.warning("a stream of events ends early: %s", error)
        yield _event({"type": "error", "error": {"message": str(error), "type": "server_error"}})
        return
    spent, spoken = stream.usage.characters, stream.usage.tokens
    usage = {"input_tokens": spent, "output_tokens": spoken, "total_tokens": spent + spoken}
    faults = {"faults": dict(stream.usage.faults)} if stream.usage.faults else {}
    yield _event({"type": "speech.audio.done", "usage": usage, **faults})


def _event(data: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(data)}\n\n".encode()
