"""The JSON and the headers that routes answer with, from the state of the registry and of a stream."""

from __future__ import annotations

from typing import Any

from voice_inference.api.speech_service import SpeechStream
from voice_inference.voices.registry import Entry, VoiceRegistry

MAX_LISTED_VOICES = 10  # in the reason of an unready server


def speech_headers(stream: SpeechStream) -> dict[str, str]:
    """Return the headers that name the voice, and the seed that repeats the answer."""
    reference = stream.voice.reference
    return {
        "X-Voice": reference.id,
        "X-Voice-Revision": reference.revision,
        "X-Sample-Rate": str(stream.voice.base.sample_rate),
        "X-Seed": str(stream.seed),
    }


def voice_list(registry: VoiceRegistry) -> dict[str, Any]:
    """Return all desired voices, as docs/contracts.md describes them."""
    return {"object": "list", "generation": registry.generation, "data": [_voice(entry) for entry in registry]}


def model_list(registry: VoiceRegistry) -> dict[str, Any]:
    """Return the base as OpenAI lists models; an empty list before the first desired-voices document."""
    base = registry.base
    data = [{"id": base.name, "object": "model", "created": 0, "owned_by": "voice-operator"}] if base else []
    return {"object": "list", "data": data}


def not_ready_reason(registry: VoiceRegistry) -> str:
    """Return one sentence: the document, the base or the voices that the server waits for."""
    if registry.base is None:
        return "No desired voices have been read yet; see --voices and --operator-url."
    if registry.base_error:
        return registry.base_error
    pending = [f"{entry.desired.id} ({entry.error or entry.state})" for entry in registry if entry.state != "ready"]
    return f"Loading the base {registry.base.name}, or voices: {', '.join(pending[:MAX_LISTED_VOICES]) or 'none'}."


def _voice(entry: Entry) -> dict[str, str]:
    return {
        "id": entry.desired.id,
        "revision": entry.desired.revision,
        "digest": entry.desired.digest,
        "state": entry.state,
        "error": entry.error if entry.state == "failed" else "",
        "language": entry.serving.language if entry.serving else "",
        "serving": entry.serving.reference.revision if entry.serving else "",
    }
