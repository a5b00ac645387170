"""Derives a VoiceServer's status: its pods, and each voice as they report it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from voice_operator.api.conditions import Condition
from voice_operator.api.voice_server import ServedVoice, VoiceServerStatus
from voice_operator.reconcile.observed import DesiredVoice, PodVoices, VoiceServer
from voice_operator.reconcile.status import ConditionUpdate, conditions_of

MAX_VOICES = 500  # listed in the status; the desired-voices document has all of them


def server_status(
    server: VoiceServer,
    *,
    old: VoiceServerStatus | None,
    voices: tuple[DesiredVoice, ...],
    pods: tuple[PodVoices, ...],
    deployment: Mapping[str, Any],
    generation: int,
    endpoint: str,
    selector: Mapping[str, str],
    now: datetime,
) -> VoiceServerStatus:
    """Return the whole new status."""
    ready = [pod for pod in pods if pod.ready]
    replicas, ready_replicas = int(deployment.get("replicas", 0)), int(deployment.get("readyReplicas", 0))
    return VoiceServerStatus(
        observed_generation=server.generation,
        replicas=replicas,
        ready_replicas=ready_replicas,
        selector=",".join(f"{name}={value}" for name, value in selector.items()),
        voice_count=len(voices),
        voices=tuple(served(voice, ready) for voice in voices[:MAX_VOICES]),
        generation=generation,
        endpoint=endpoint,
        base=server.spec.base,
        conditions=_conditions(server, old, ready_replicas, now),
    )


def blocked_status(
    server: VoiceServer, old: VoiceServerStatus | None, known_bases: tuple[str, ...], now: datetime
) -> VoiceServerStatus:
    """Return the status of a server whose base is not configured; its children are left as they are."""
    message = f"spec.base is {server.spec.base}, but the operator's configuration has: {', '.join(known_bases)}"
    updates = (
        ConditionUpdate("Ready", "False", "BaseNotFound", message),
        ConditionUpdate("Reconciling", "False", "Idle", ""),
        ConditionUpdate("Stalled", "True", "BaseNotFound", message),
    )
    conditions = conditions_of(old.conditions if old is not None else (), updates, server.generation, now)
    return (old or VoiceServerStatus()).model_copy(
        update={"observed_generation": server.generation, "conditions": conditions}
    )


def served(voice: DesiredVoice, ready: list[PodVoices]) -> ServedVoice:
    """Return one voice as the ready pods report it: Ready only where all of them have loaded exactly this digest."""
    reports = [
        report for pod in ready if (report := pod.voices.get(voice.id)) is not None and report.digest == voice.digest
    ]
    loaded = sum(report.state == "ready" for report in reports)
    error = next((report.error for report in reports if report.state == "failed"), "")
    failed = any(report.state == "failed" for report in reports)
    done = bool(ready) and loaded == len(ready)
    return ServedVoice(
        voice=voice.id,
        revision=voice.revision,
        digest=voice.digest,
        state="Ready" if done else "Failed" if failed else "Loading",
        loaded_on=loaded,
        error=error,
    )


def _conditions(server: VoiceServer, old: VoiceServerStatus | None, ready: int, now: datetime) -> tuple[Condition, ...]:
    desired = server.spec.replicas
    message = f"{ready} of {desired} pods are ready"
    done = ready >= desired
    updates = (
        ConditionUpdate("Ready", "True" if done else "False", "PodsReady" if done else "PodsNotReady", message),
        ConditionUpdate(
            "Reconciling", "False" if done else "True", "Idle" if done else "PodsNotReady", "" if done else message
        ),
        ConditionUpdate("Stalled", "False", "NotStalled", ""),
    )
    return conditions_of(old.conditions if old is not None else (), updates, server.generation, now)
