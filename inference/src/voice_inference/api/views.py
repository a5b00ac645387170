"""The JSON and the headers that routes answer with, from the state of the registry and of a stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from voice_inference.access.callers import EVERYTHING, Caller, Scope
from voice_inference.access.meters import Meter
from voice_inference.api.speech_service import SpeechStream
from voice_inference.bundles.samples import Sample
from voice_inference.bundles.voice import Voice
from voice_inference.voices.entries import Entry, Load
from voice_inference.voices.registry import VoiceRegistry

MAX_LISTED_VOICES = 10  # in the reason of an unready server


def speech_headers(stream: SpeechStream, ignored: Sequence[str] = ()) -> dict[str, str]:
    """Return the headers that name the voice, the seed that repeats the answer, and what a machine has made.

    ``ignored`` are fields of the request that have no effect.
    """
    named = voice_headers(stream.voice) | {"X-Seed": str(stream.seed)}
    return named | ({"X-Ignored-Fields": ", ".join(ignored)} if ignored else {})


def voice_headers(voice: Voice) -> dict[str, str]:
    """Return the headers that name a voice, and say that a machine made what was heard of it."""
    return {
        "X-Voice": voice.reference.id,
        "X-Voice-Revision": voice.reference.revision,
        "X-Sample-Rate": str(voice.base.sample_rate),
        "X-AI-Generated": "true",
    }


def fault_headers(stream: SpeechStream) -> dict[str, str]:
    """Return the header that tells what is wrong with a file that is complete: nothing where nothing is."""
    found = ", ".join(f"{fault}={count}" for fault, count in sorted(stream.usage.faults.items()))
    return {"X-Faults": found} if found else {}


def voice_list(registry: VoiceRegistry, scope: Scope = EVERYTHING) -> dict[str, Any]:
    """Return the desired voices of a scope, as docs/contracts.md describes them."""
    return {
        "object": "list",
        "generation": registry.generation,
        "since": _time(registry.since),
        "data": [
            _voice(entry, registry.last_used(entry.desired.id)) for entry in registry if scope.allows(entry.desired.id)
        ],
    }


def sample_list(voice: Voice, samples: Sequence[Sample]) -> dict[str, Any]:
    """Return what a voice's evaluation spoke."""
    return {
        "object": "list",
        "voice": voice.reference.id,
        "revision": voice.reference.revision,
        "data": [{"id": one.name, "text": one.text} for one in samples],
    }


def audio_voices(registry: VoiceRegistry, aliases: Mapping[str, str], scope: Scope = EVERYTHING) -> dict[str, Any]:
    """Return the voices of a scope that answer now, each with the name that a person reads, and aliases of these."""
    answering = {entry.desired.id for entry in registry if entry.serving and scope.allows(entry.desired.id)}
    names = {voice: voice for voice in sorted(answering)}
    names |= {alias: f"{alias} ({voice})" for alias, voice in sorted(aliases.items()) if voice in answering}
    return {"voices": [{"id": name, "name": shown} for name, shown in names.items()]}


def model_list(registry: VoiceRegistry, scope: Scope = EVERYTHING) -> dict[str, Any]:
    """Return the bases as OpenAI lists models; an empty list before the first desired-voices document.

    Who may not use everything is told of the bases of its own voices.
    """
    if scope.has_everything:
        names = dict.fromkeys(base.name for base in registry.bases)
    else:
        own = (entry.current.revision for entry in registry if scope.allows(entry.desired.id))
        names = dict.fromkeys(revision.base.name for revision in own)
    data = [{"id": name, "object": "model", "created": 0, "owned_by": "voice-operator"} for name in names]
    return {"object": "list", "data": data}


def usage(caller: Caller, meter: Meter, now: datetime) -> dict[str, Any]:
    """Return what a caller has used of this process, and what it may."""
    totals = meter.totals
    return {
        "object": "usage",
        "key": caller.id,
        "since": _time(totals.since),
        "requests": totals.requests,
        "refused": totals.refused,
        "characters": totals.characters,
        "seconds": round(totals.seconds, 2),
        "charactersToday": meter.today(now),
        "limits": {name: most for name, most in caller.limits.model_dump(by_alias=True).items() if most},
    }


def not_ready_reason(registry: VoiceRegistry, *, names: bool = True) -> str:
    """Return one sentence: the document, the base or the voices that the server waits for, with their ``names``."""
    if not registry.has_document:
        return "No desired voices have been read yet; see --voices and --operator-url."
    pending = [entry for entry in registry if entry.current.state != "ready"]
    if pending and not names:
        return f"Loading {len(pending)} voices."
    if pending:
        voices = [f"{entry.desired.id} ({entry.current.error or entry.current.state})" for entry in pending]
        return f"Loading the voices {', '.join(voices[:MAX_LISTED_VOICES])}."
    return (names and registry.base_error) or f"Loading the base {registry.base.name if registry.base else ''}."


def _voice(entry: Entry, last_used: date | None) -> dict[str, Any]:
    serving = entry.serving
    return {
        "id": entry.desired.id,
        **_load(entry.current),
        "language": serving.language if serving else "",
        "serving": serving.reference.revision if serving else "",
        **({"scores": serving.scores} if serving and serving.scores else {}),
        **({"expires": expires.isoformat()} if (expires := _last_day(entry)) else {}),
        **({"next": _load(entry.next)} if entry.next else {}),
        **({"previous": before} if (before := _before(entry)) else {}),
        **({"lastUsed": last_used.isoformat()} if last_used else {}),
    }


def _before(entry: Entry) -> str:
    """Return the revision that was served before; empty: there is none, or it is served still while another loads."""
    before = entry.previous.revision.revision if entry.previous else ""
    return "" if entry.serving and entry.serving.reference.revision == before else before


def _last_day(entry: Entry) -> date | None:
    """Return the last day of the consent: as the operator says it, else as the bundle has it."""
    if entry.desired.names_expiry or not entry.serving:
        return entry.desired.expires
    return entry.serving.expires


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _load(load: Load) -> dict[str, str]:
    return {
        "revision": load.revision.revision,
        "digest": load.revision.digest,
        "state": load.state,
        "error": load.error,
    }
