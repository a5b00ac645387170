"""Derives a VoiceServer's status: its pods, and each voice as they report it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from voice_operator.api.voice_server import CountedPod, ServedVoice, VoiceServerStatus
from voice_operator.reconcile.observed import DesiredVoice, PodVoices, Problem, VoiceServer
from voice_operator.reconcile.serving import has_loaded
from voice_operator.reconcile.status import ConditionUpdate, conditions_of

MAX_PODS = 256  # listed likewise
MAX_VOICES = 500  # listed in the status; the desired-voices document has all of them


@dataclass(frozen=True)
class ObservedDeployment:
    """A Deployment's rollout: how many pods there are, ready and of the present template."""

    desired: int = 0
    replicas: int = 0
    ready: int = 0
    updated: int = 0
    is_current: bool = False  # whether its controller has seen the present template

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Self:
        """Read the object; an empty one is a Deployment that does not exist yet."""
        status = item.get("status") or {}
        generation = (item.get("metadata") or {}).get("generation", 0)
        return cls(
            desired=int((item.get("spec") or {}).get("replicas", 0)),
            replicas=int(status.get("replicas", 0)),
            ready=int(status.get("readyReplicas", 0)),
            updated=int(status.get("updatedReplicas", 0)),
            is_current=bool(generation) and int(status.get("observedGeneration", 0)) >= generation,
        )


def server_status(
    server: VoiceServer,
    *,
    old: VoiceServerStatus | None,
    voices: tuple[DesiredVoice, ...],
    pods: tuple[PodVoices, ...],
    deployment: ObservedDeployment,
    problem: Problem | None,
    generation: int,
    endpoint: str,
    selector: Mapping[str, str],
    now: datetime,
) -> VoiceServerStatus:
    """Return the whole new status; with a problem the children are left as they are."""
    ready = [pod for pod in pods if pod.ready]
    updates = _progress(server, deployment, voices, pods) if problem is None else _stalled(problem)
    counted = count_pods(old, pods, now)
    return VoiceServerStatus(
        observed_generation=server.generation,
        replicas=deployment.replicas,
        ready_replicas=deployment.ready,
        selector=",".join(f"{name}={value}" for name, value in selector.items()),
        voice_count=len(voices),
        voices=tuple(served(voice, ready) for voice in voices[:MAX_VOICES]),
        generation=generation,
        endpoint=endpoint,
        base=server.spec.base,
        pods=counted.pods,
        uncounted=counted.uncounted,
        conditions=conditions_of(old.conditions if old is not None else (), updates, server.generation, now),
    )


@dataclass(frozen=True)
class Counted:
    """Pods whose requests are counted, and the last day on which one ended that had not told all."""

    pods: tuple[CountedPod, ...]
    uncounted: str | None


def count_pods(old: VoiceServerStatus | None, pods: tuple[PodVoices, ...], now: datetime) -> Counted:
    """Return which pods tell what they are asked for. One that ended without a last answer has not told all.

    A pod that does not answer for a while has lost nothing: it counts on, and tells later.
    """
    known = {one.name: one for one in old.pods} if old is not None else {}
    found = {pod.name: pod for pod in pods}
    lost = any(_has_lost(one, found.get(one.name)) for one in known.values())
    counted = (
        CountedPod(
            name=pod.name,
            since=pod.since or (known[pod.name].since if pod.name in known else ""),
            ending=(pod.ending and bool(pod.since)) or (pod.name in known and known[pod.name].ending),
        )
        for pod in sorted(pods, key=lambda pod: pod.name)
        if pod.ready or pod.since or pod.name in known
    )
    today = now.astimezone(UTC).date().isoformat()
    return Counted(tuple(counted)[:MAX_PODS], today if lost else old.uncounted if old is not None else None)


def _has_lost(known: CountedPod, pod: PodVoices | None) -> bool:
    if pod is None:
        return not known.ending
    return bool(known.since and pod.since and pod.since != known.since)


def stalled_status(
    generation: int, old: VoiceServerStatus | None, problem: Problem, now: datetime
) -> VoiceServerStatus:
    """Return the status of a server that only a person can help; all but the conditions stays as it was."""
    conditions = conditions_of(old.conditions if old is not None else (), _stalled(problem), generation, now)
    return (old or VoiceServerStatus()).model_copy(update={"observed_generation": generation, "conditions": conditions})


def served(voice: DesiredVoice, ready: list[PodVoices]) -> ServedVoice:
    """Return one voice as the ready pods report it: Ready only where all of them have loaded exactly this digest."""
    loaded = sum(has_loaded(pod, voice.id, voice.digest) for pod in ready)
    reports = [report for pod in ready if (report := pod.voices.get(voice.id)) is not None]
    failures = [report.error for report in reports if report.digest == voice.digest and report.state == "failed"]
    done = bool(ready) and loaded == len(ready)
    return ServedVoice(
        voice=voice.id,
        revision=voice.revision,
        digest=voice.digest,
        state="Ready" if done else "Failed" if failures else "Loading",
        loaded_on=loaded,
        error=failures[0] if failures else "",
    )


def _progress(
    server: VoiceServer,
    deployment: ObservedDeployment,
    voices: tuple[DesiredVoice, ...],
    pods: tuple[PodVoices, ...],
) -> tuple[ConditionUpdate, ...]:
    desired = deployment.desired
    updated = deployment.is_current and desired <= deployment.updated >= deployment.replicas
    done = updated and deployment.ready >= desired
    message = f"{deployment.ready} of {desired} pods are ready"
    if not updated:
        message += f", {deployment.updated} of them have the present template"
    others = sum(voice.base is not None and voice.base.name != server.spec.base for voice in voices)
    if others:
        message += f"; {others} of {len(voices)} voices are served from another base until they have a new revision"
    distrusted = [pod for pod in pods if pod.distrusted]
    if distrusted:
        message += f"; {len(distrusted)} cannot be asked for their voices: {distrusted[0].distrusted}"
    waiting = "PodsNotReady" if updated else "RollingOut"
    return (
        ConditionUpdate("Ready", "True" if done else "False", "PodsReady" if done else waiting, message),
        ConditionUpdate(
            "Reconciling", "False" if done else "True", "Idle" if done else waiting, "" if done else message
        ),
        ConditionUpdate("Stalled", "False", "NotStalled", ""),
    )


def _stalled(problem: Problem) -> tuple[ConditionUpdate, ...]:
    return (
        ConditionUpdate("Ready", "False", problem.reason, problem.message),
        ConditionUpdate("Reconciling", "False", "Idle", ""),
        ConditionUpdate("Stalled", "True", problem.reason, problem.message),
    )
