"""Selects the revision to serve, and compares it with those that the pods have loaded: by digest, never by name."""

from collections.abc import Iterable
from dataclasses import dataclass

from voice_operator.reconcile.observed import Observed, ObservedRevision, ObservedServer, PodVoices, Problem
from voice_operator.reconcile.regression import Regression, regressions_between


@dataclass(frozen=True)
class ServingState:
    """Whether the target is loaded, else why not. ``stalled``: only a person can help."""

    loaded: bool
    problem: Problem
    stalled: bool = False


def target_revision(observed: Observed, *, consent_valid: bool) -> ObservedRevision | None:
    """Return the revision to serve: the pinned one, else the newest approved one, else the one served already."""
    if not consent_valid:
        return None
    voice = observed.voice
    usable = {revision.name: revision for revision in observed.revisions if not revision.deleting}
    if voice.spec.serving.pin:
        return usable.get(voice.spec.serving.pin) or usable.get(voice.status.active_revision or "")
    newest = current_revision(observed)
    approved = newest is not None and not newest.deleting and not voice.spec.review.required
    if approved and not regressions(observed):
        return newest
    return usable.get(voice.status.active_revision or "")


def regressions(observed: Observed) -> tuple[Regression, ...]:
    """Return in which scores the newest revision is worse than the served one, where the spec forbids that."""
    newest, active = current_revision(observed), active_revision(observed)
    if newest is None or active is None or not observed.voice.spec.evaluation.no_regression:
        return ()
    return regressions_between(newest, active)


def active_revision(observed: Observed) -> ObservedRevision | None:
    """Return the revision that is served by the status, if it can be served on."""
    name = observed.voice.status.active_revision
    return next((found for found in observed.revisions if found.name == name and not found.deleting), None)


def current_revision(observed: Observed) -> ObservedRevision | None:
    """Return the revision that was trained from exactly the present input, if it exists."""
    same = (revision for revision in observed.revisions if revision.input_hash == observed.input_hash)
    return next(same, None)


def base_of(revisions: Iterable[ObservedRevision]) -> str:
    """Return the base of the voice's revisions, the active one's first; empty: there are none."""
    found = sorted(revisions, key=lambda revision: (revision.state != "Active", revision.name))
    return found[0].base if found else ""


def serving_state(observed: Observed, target: ObservedRevision) -> ServingState:
    """Compare the digests that the pods report with the target's."""
    voice, server = observed.voice, observed.server
    if server is None:
        requested = voice.spec.serving.server
        return _not_loaded(
            "ServerNotFound",
            f"there is no VoiceServer {requested} in the namespace {voice.namespace} or in the operator's",
        )
    if server.base != target.base:
        message = (
            f"VoiceServer {server.id} has the base {server.base}, but {target.name} was trained from {target.base}"
        )
        return _not_loaded("BaseMismatch", message, stalled=True)
    if server.replicas == 0:
        return _not_loaded("ScaledToZero", f"VoiceServer {server.id} has no replicas")
    ready = [pod for pod in server.pods if pod.ready]
    if not ready:
        return _not_loaded("ServerNotReady", f"no pod of VoiceServer {server.id} is ready")
    serving = [pod for pod in ready if _serves(pod, voice.id, target)]
    already_active = voice.status.active_revision == target.name
    if len(serving) == len(ready) or (already_active and serving):
        return ServingState(
            loaded=True, problem=Problem("Loaded", f"{len(serving)} of {len(ready)} pods serve {target.name}")
        )
    return _loading(voice.id, server, target, len(serving), len(ready))


def _loading(voice_id: str, server: ObservedServer, target: ObservedRevision, serving: int, ready: int) -> ServingState:
    for pod in server.pods:
        report = pod.voices.get(voice_id)
        if report is not None and report.digest == target.digest and report.state == "failed":
            return _not_loaded("LoadFailed", f"{pod.name} cannot load {target.name}: {report.error}")
    return _not_loaded("Loading", f"{serving} of {ready} pods serve {target.name}")


def _serves(pod: PodVoices, voice_id: str, target: ObservedRevision) -> bool:
    report = pod.voices.get(voice_id)
    return report is not None and report.state == "ready" and report.digest == target.digest


def _not_loaded(reason: str, message: str, *, stalled: bool = False) -> ServingState:
    return ServingState(loaded=False, problem=Problem(reason, message), stalled=stalled)
