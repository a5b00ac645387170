"""Selects the revision to serve, and compares it with those that the pods have loaded: by digest, never by name."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from voice_operator.api.voice_status import GateVerdict, VoiceModelStatus
from voice_operator.reconcile.gates import missed_gates
from voice_operator.reconcile.observed import Observed, ObservedRevision, ObservedServer, PodVoices, Problem
from voice_operator.reconcile.permission import may_be_served
from voice_operator.reconcile.regression import Regression, are_comparable, regressions_between
from voice_operator.reconcile.times import parse

LOAD_TIMEOUT = timedelta(minutes=10)  # pods try again by themselves meanwhile


@dataclass(frozen=True)
class ServingState:
    """Whether the target is loaded, else why not. ``stalled``: only a person can help."""

    loaded: bool
    problem: Problem
    stalled: bool = False


@dataclass(frozen=True)
class ServingPlan:
    """What servers must do for a voice: serve one revision, and perhaps load the target beside it."""

    state: ServingState  # of the target
    served: ObservedRevision
    server: ObservedServer | None  # of ``served``; None: no server can
    loading: ObservedServer | None = None  # loads the target, where that is not served yet


def target_revision(observed: Observed, *, consent_valid: bool) -> ObservedRevision | None:
    """Return the revision to serve: the pinned one, else the newest one, else the last one; each only if permitted."""
    if not consent_valid:
        return None
    pin = observed.voice.spec.serving.pin
    if pin:
        return _usable(observed, pin) or active_revision(observed)
    newest = current_revision(observed)
    held = regressions(observed) or (falls_short(observed) and not was_served(observed, newest))
    if newest is not None and may_be_served(newest, observed.voice) and not held:
        return newest
    return active_revision(observed)


def regressions(observed: Observed) -> tuple[Regression, ...]:
    """Return in which scores the newest revision is worse than the served one, where the spec forbids that.

    One that was served before is no new one: who reverts a commit goes back to it.
    """
    newest, active = current_revision(observed), active_revision(observed)
    if newest is None or active is None or not observed.voice.spec.evaluation.no_regression:
        return ()
    if was_served(observed, newest):
        return ()
    return regressions_between(newest, active)


def falls_short(observed: Observed) -> tuple[GateVerdict, ...]:
    """Return which of the present gates the newest revision does not reach: they may be others than it was judged by.

    They decide what comes to be served, never what is (docs/decisions/0084).
    """
    newest, voice = current_revision(observed), observed.voice
    if newest is None:
        return ()
    return missed_gates(newest.gates, newest.scores, voice.spec.evaluation.gates, voice.minimum_gates)


def was_served(observed: Observed, revision: ObservedRevision | None) -> bool:
    """Return whether the status says that the revision is served, or was before the present one."""
    status = observed.voice.status
    return revision is not None and revision.name in {status.active_revision, status.previous_revision}


def comparison_of(observed: Observed) -> str:
    """Return how the newest revision compares with the served one, or, once it is served, with the one before.

    Empty: there is no such one, or nothing that both were measured by.
    """
    newest, status = current_revision(observed), observed.voice.status
    names = [name for name in (status.active_revision, status.previous_revision) if newest and name != newest.name]
    earlier = next((one for name in names for one in observed.revisions if one.name == name), None)
    if newest is None or earlier is None or not are_comparable(newest, earlier):
        return ""
    worse = "; ".join(map(str, regressions_between(newest, earlier)))
    return f"worse than {earlier.name}: {worse}" if worse else f"not worse than {earlier.name}"


def active_revision(observed: Observed) -> ObservedRevision | None:
    """Return the revision that is served by the status, or was served last, if it may be served on."""
    status = observed.voice.status
    return _usable(observed, status.active_revision) or _usable(observed, status.previous_revision)


def _usable(observed: Observed, name: str | None) -> ObservedRevision | None:
    found = (revision for revision in observed.revisions if revision.name == name)
    return next((revision for revision in found if may_be_served(revision, observed.voice)), None)


def current_revision(observed: Observed) -> ObservedRevision | None:
    """Return the revision that was trained from exactly the present input, if it exists."""
    same = (revision for revision in observed.revisions if revision.input_hash == observed.input_hash)
    return next(same, None)


def base_of(revisions: Iterable[ObservedRevision]) -> str:
    """Return the base of the voice's revisions, the active one's first; empty: there are none."""
    found = sorted(revisions, key=lambda revision: (revision.state != "Active", revision.name))
    return found[0].base if found else ""


def serving_plan(observed: Observed, target: ObservedRevision, now: datetime) -> ServingPlan:
    """Return what servers must do: make before break, so the served revision stays until the target is loaded.

    A server that changes its base, or a voice that changes its server, is the same case: what is served goes on.
    """
    voice, server = observed.voice, observed.server
    active = _usable(observed, voice.status.active_revision)
    state = serving_state(observed, target)
    moved = server is not None and observed.serving_server is not None and observed.serving_server.id != server.id
    serving = observed.serving_server
    stays = active is not None and serving is not None and serving.access is None
    if stays and not state.loaded and active is not None and (active.name != target.name or server is None or moved):
        loading = server if server is not None and server.access is None and _may_load(server, target) else None
        begun = loading_since(voice.status, target, loading)
        late = state.problem.reason == "LoadFailed" and begun is not None and now - begun > LOAD_TIMEOUT
        return ServingPlan(_meanwhile(state, active, late=late), active, observed.serving_server, loading)
    usable = server is not None and (_may_load(server, target) or _is_served_by(voice.status, server, target))
    admitted = server is not None and server.access is None
    return ServingPlan(state, target, server if usable and admitted else None, None)


def serving_state(observed: Observed, target: ObservedRevision) -> ServingState:
    """Compare the digests that the pods of the requested server report with the target's."""
    voice, server = observed.voice, observed.server
    if server is None:
        requested = voice.spec.serving.server
        return _not_loaded(
            "ServerNotFound",
            f"there is no VoiceServer {requested} in the namespace {voice.namespace} or in the operator's",
        )
    already_served = _is_served_by(voice.status, server, target)
    closed = server.access or (None if already_served else _base_mismatch(server, target))
    if closed is not None:
        return ServingState(loaded=False, problem=closed, stalled=True)
    if server.replicas == 0:
        return _not_loaded("ScaledToZero", f"VoiceServer {server.id} has no replicas")
    ready = [pod for pod in server.pods if pod.ready]
    if not ready:
        return _not_loaded("ServerNotReady", f"no pod of VoiceServer {server.id} is ready")
    loaded = [pod for pod in ready if has_loaded(pod, voice.id, target.digest)]
    if len(loaded) == len(ready) or (already_served and loaded):
        return ServingState(
            loaded=True, problem=Problem("Loaded", f"{len(loaded)} of {len(ready)} pods serve {target.name}")
        )
    return _loading(voice.id, server, target, len(loaded), len(ready))


def is_served(observed: Observed, revision: ObservedRevision) -> bool:
    """Return whether some pod of the server that the status names serves the revision now."""
    server = observed.serving_server
    return server is not None and any(
        pod.ready and has_loaded(pod, observed.voice.id, revision.digest) for pod in server.pods
    )


def has_loaded(pod: PodVoices, voice_id: str, digest: str) -> bool:
    """Return whether a pod has loaded this bundle, be it to serve it or beside what it serves."""
    report = pod.voices.get(voice_id)
    reports = (report, report.next) if report is not None else ()
    return any(one is not None and one.state == "ready" and one.digest == digest for one in reports)


def _is_served_by(status: VoiceModelStatus, server: ObservedServer, revision: ObservedRevision) -> bool:
    return status.active_revision == revision.name and status.server == server.id


def _base_mismatch(server: ObservedServer, revision: ObservedRevision) -> Problem | None:
    if _may_load(server, revision):
        return None
    message = (
        f"VoiceServer {server.id} has the base {server.base}, but {revision.name} was trained from {revision.base}"
    )
    return Problem("BaseMismatch", message)


def _may_load(server: ObservedServer, revision: ObservedRevision) -> bool:
    same_content = bool(server.base_digest) and server.base_digest == revision.base_digest
    return server.base == revision.base or same_content


def _meanwhile(state: ServingState, active: ObservedRevision, *, late: bool) -> ServingState:
    """Add what is served meanwhile; a revision that failed to load for LOAD_TIMEOUT needs a person."""
    stalled = state.stalled or late
    served = f"{active.name} stays served" if stalled else f"{active.name} is served until then"
    return ServingState(
        loaded=False, problem=Problem(state.problem.reason, f"{state.problem.message}; {served}"), stalled=stalled
    )


def loading_since(status: VoiceModelStatus, target: ObservedRevision, server: ObservedServer | None) -> datetime | None:
    """Return since when this server has been loading this revision; None: it has not begun."""
    recorded = status.loading
    if recorded is None or server is None or recorded.server != server.id:
        return None
    return parse(recorded.since) if recorded.artifacts.digest == target.digest else None


def _loading(voice_id: str, server: ObservedServer, target: ObservedRevision, loaded: int, ready: int) -> ServingState:
    for pod in (pod for pod in server.pods if not pod.ending):
        report = pod.voices.get(voice_id)
        for one in (report, report.next) if report is not None else ():
            if one is not None and one.digest == target.digest and one.state == "failed":
                return _not_loaded("LoadFailed", f"{pod.name} cannot load {target.name}: {one.error}")
    return _not_loaded("Loading", f"{loaded} of {ready} pods have loaded {target.name}")


def _not_loaded(reason: str, message: str, *, stalled: bool = False) -> ServingState:
    return ServingState(loaded=False, problem=Problem(reason, message), stalled=stalled)
