"""Speech as server-sent events, as OpenAI's API sends them with ``stream_format: sse``."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import AsyncGenerator
from typing import Any, Final

from voice_inference.api.error_handlers import FAILED
from voice_inference.api.speech_service import SpeechStream
from voice_inference.engine.captions import Caption
from voice_inference.errors import InferenceError

MEDIA_TYPE: Final = "text/event-stream"

log = logging.getLogger(__name__)


async def speech_events(stream: SpeechStream) -> AsyncGenerator[bytes]:
    """Yield ``speech.audio.delta`` events with audio in base64, then ``speech.audio.done`` with what it has cost.

    Where timestamps are asked for, ``speech.audio.timestamps`` follows the audio of each sentence.

    An error after the first event becomes the last one, ``error``: the status was sent long before.
    """
    try:
        async for item in stream.all():
            if isinstance(item, bytes):
                yield _event({"type": "speech.audio.delta", "audio": base64.b64encode(item).decode()})
            else:
                yield _event({"type": "speech.audio.timestamps", **times_of(item)})
    except InferenceError as error:
        log.warning("a stream of events ends early: %s", error)
        yield _event({"type": "error", "error": {"message": str(error), "type": "server_error"}})
        return
    except Exception:  # whatever it is, the client is told that the stream ends
        log.exception("a stream of events failed")
        yield _event({"type": "error", "error": {"message": FAILED, "type": "server_error"}})
        return
    spent, spoken = stream.usage.characters, stream.usage.tokens
    usage = {"input_tokens": spent, "output_tokens": spoken, "total_tokens": spent + spoken}
    faults = {"faults": dict(stream.usage.faults)} if stream.usage.faults else {}
    yield _event({"type": "speech.audio.done", "usage": usage, **faults})


def times_of(caption: Caption) -> dict[str, Any]:
    """Return when a sentence is heard, and its words where somebody listened for them; in seconds."""
    words = [{"word": cue.text, "start": cue.start, "end": cue.end} for cue in caption.words]
    return {"sentence": caption.sentence._asdict(), **({"words": words} if words else {})}


def _event(data: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(data)}\n\n".encode()
