"""Decides the next action for a voice. The order of CHECKS is the policy: the first check with an opinion decides."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from voice_operator.api.voice_status import GateVerdict, Phase, StageStatus
from voice_operator.reconcile.effects import (
    AdoptRevision,
    CreateRevision,
    DeleteJob,
    Effect,
    SetRevisionState,
    StartJob,
    SuspendJob,
)
from voice_operator.reconcile.names import revision_name
from voice_operator.reconcile.observed import Observed, ObservedRevision
from voice_operator.reconcile.serving import regressions
from voice_operator.reconcile.stages import batch_size_divisor, retry_at
from voice_operator.reconcile.view import View, view_of

PHASE_OF_STAGE: dict[str, Phase] = {"prepare": "Preparing", "train": "Training", "evaluate": "Evaluating"}
RUNNING_POLL_SECONDS = 3.0  # between passes over a running stage
WAITING_POLL_SECONDS = 10.0  # between passes over a change that normally comes with a watch event
DATASET_POLL_SECONDS = 30.0
STORE_POLL_SECONDS = 30.0


@dataclass(frozen=True)
class Action:
    """The effects to apply, and the Ready condition that reports them."""

    phase: Phase
    reason: str
    message: str
    effects: tuple[Effect, ...] = ()
    stalled: bool = False  # only a person or a change of the spec can help
    requeue_after: float | None = None  # seconds; None: wait for the next watch event or resync


Check = Callable[[View], Action | None]


def stop_without_consent(view: View) -> Action | None:
    """Nothing is trained and nothing is served without a valid permission."""
    if view.consent is None:
        return None
    jobs = tuple(DeleteJob(job.name) for job in view.observed.jobs if job.state == "Running")
    return Action("Failed", view.consent.reason, view.consent.message, jobs, stalled=True)


def hold_while_suspended(view: View) -> Action | None:
    """Suspend running Jobs; those of a Kueue queue are left to the queue."""
    if not view.observed.voice.spec.suspend:
        return None
    jobs = tuple(SuspendJob(job.name, suspend=True) for job in view.running if not job.suspended and not job.queued)
    return Action("Suspended", "Suspended", "spec.suspend is true; nothing is trained", jobs)


def serve_the_pin(view: View) -> Action | None:
    """A rollback takes precedence over training; a pin without a revision changes nothing that is served."""
    pin = view.observed.voice.spec.serving.pin
    if not pin:
        return None
    stop = tuple(DeleteJob(job.name) for job in view.running)
    if view.target is not None and view.target.name == pin:
        action = _serve(view, view.target)
        return replace(action, effects=stop + action.effects)
    known = ", ".join(sorted(revision.name for revision in view.observed.revisions)) or "none"
    message = f"spec.serving.pin names {pin}, but the revisions of this voice are: {known}"
    return Action("Failed", "PinNotFound", message, stop, stalled=True)


def refuse_unknown_base(view: View) -> Action | None:
    """Bases are named in the operator's configuration."""
    if view.observed.base_known:
        return None
    known = ", ".join(view.observed.known_bases)
    voice = view.observed.voice
    named = f"spec.base is {voice.base}" if voice.spec.base else f"the voice was made from the base {voice.base}"
    message = f"{named}, but the operator's configuration has: {known}; name one of these in spec.base"
    return Action("Failed", "BaseNotFound", message, stalled=True)


def wait_for_dataset(view: View) -> Action | None:
    """Recordings may still be being uploaded."""
    problem = view.observed.dataset_problem
    if problem is None:
        return None
    return Action("Preparing", problem.reason, problem.message, requeue_after=DATASET_POLL_SECONDS)


def stop_obsolete_jobs(view: View) -> Action | None:
    """One Job at a time per voice: what runs for an earlier input goes first."""
    if not view.obsolete:
        return None
    jobs = tuple(DeleteJob(job.name) for job in view.obsolete)
    return Action(
        "Preparing",
        "InputChanged",
        "the input changed; the Job of the earlier input is being stopped",
        jobs,
        requeue_after=1,
    )


def adopt_revisions(view: View) -> Action | None:
    """What was made for this voice belongs to it, whatever a restored backup or a person did to owner and label."""
    kept = [revision for revision in view.observed.revisions if not revision.deleting]
    effects = tuple(AdoptRevision(one.name) for one in kept if one.adoptable or not one.labelled)
    if not effects:
        return None
    names = ", ".join(effect.name for effect in effects)
    return Action("Preparing", "Adopting", f"{names}: owner and label are being restored", effects, requeue_after=1)


def wait_for_deletion(view: View) -> Action | None:
    """A revision that is being deleted would be mistaken for a result."""
    if view.current is None or not view.current.deleting:
        return None
    return Action(
        "Preparing", "RevisionDeleting", f"{view.current.name} is being deleted", requeue_after=WAITING_POLL_SECONDS
    )


def wait_for_review(view: View) -> Action | None:
    """A trained voice that people must approve is not served before they do."""
    voice = view.observed.voice
    if view.current is None or not voice.spec.review.required or view.current.name == voice.status.active_revision:
        return None
    message = f"{view.current.name} waits for approval (spec.review.required)"
    return Action("AwaitingReview", "AwaitingReview", message)


def keep_active_revision(view: View) -> Action | None:
    """An improvement needs a reason: a revision that is worse than the served one waits for a person."""
    worse, current, active = regressions(view.observed), view.current, view.target
    if not worse or current is None or active is None:
        return None
    message = (
        f"{current.name} is worse than {active.name}, which stays served: {'; '.join(map(str, worse))}; "
        f"to serve it anyway, set spec.serving.pin to {current.name} or spec.evaluation.noRegression to false"
    )
    return Action("Failed", "WorseThanActive", message, stalled=True)


def serve_newest(view: View) -> Action | None:
    """The present input is trained: serve it."""
    return None if view.current is None or view.target is None else _serve(view, view.target)


def wait_for_store(view: View) -> Action | None:
    """Without the outputs of the stages a Job might train what is trained already."""
    problem = view.observed.store_problem
    if problem is None:
        return None
    phase = PHASE_OF_STAGE[view.next_stage.name] if view.next_stage is not None else "Loading"
    return Action(phase, problem.reason, problem.message, requeue_after=STORE_POLL_SECONDS)


def stop_after_failure(view: View) -> Action | None:
    """A stage that failed for good needs a person, not another attempt."""
    failed = next((stage for stage in view.stages if stage.state == "Failed"), None)
    if failed is None or failed.last_failure is None:
        return None
    return Action("Failed", failed.last_failure.reason, f"{failed.name}: {failed.last_failure.message}", stalled=True)


def wait_for_running_job(view: View) -> Action | None:
    """One Job at a time per voice; poll its progress."""
    if not view.running:
        return None
    job = view.running[-1]
    resume = tuple(SuspendJob(job.name, suspend=False) for job in view.running if job.suspended and not job.queued)
    if job.waiting is not None:
        reason, message = job.waiting.reason, f"{job.name}: {job.waiting.message}"
    else:
        reason, message = PHASE_OF_STAGE[job.stage], f"{job.name} is running"
    return Action(PHASE_OF_STAGE[job.stage], reason, message, resume, requeue_after=RUNNING_POLL_SECONDS)


def stop_at_failed_gates(view: View) -> Action | None:
    """A voice that is not good enough is never published."""
    if view.next_stage is not None or view.evaluated is None or view.evaluated.passed:
        return None
    missed = "; ".join(_missed(gate) for gate in view.evaluated.gates if not gate.passed)
    return Action("Failed", "GatesFailed", missed or "the evaluation did not pass", stalled=True)


def record_revision(view: View) -> Action | None:
    """The published bundle becomes a VoiceRevision: the unit of rollback and clean-up."""
    published = view.published
    input_hash = view.observed.input_hash
    if view.next_stage is not None or view.evaluated is None or published is None or input_hash is None:
        return None
    name = revision_name(view.observed.voice.name, input_hash)
    return Action(
        "Loading",
        "Published",
        f"{name} is published",
        (CreateRevision(name, published, view.evaluated),),
        requeue_after=0,
    )


def start_next_stage(view: View) -> Action | None:
    """In order, and no GPU Job before the recordings were accepted."""
    stage = view.next_stage
    if stage is None:
        return None
    phase = PHASE_OF_STAGE[stage.name]
    wait = _seconds_until_retry(stage, view.now)
    if wait > 0 and stage.last_failure is not None:
        message = f"{stage.name} is tried again in {wait:.0f} s: {stage.last_failure.message}"
        return Action(phase, "Retrying", message, requeue_after=wait)
    start = StartJob(stage.name, stage.attempt + 1, batch_size_divisor(stage))
    return Action(phase, phase, f"{stage.name} starts", (start,), requeue_after=RUNNING_POLL_SECONDS)


CHECKS: tuple[Check, ...] = (
    stop_without_consent,
    hold_while_suspended,
    serve_the_pin,
    refuse_unknown_base,
    wait_for_dataset,
    stop_obsolete_jobs,
    adopt_revisions,
    wait_for_deletion,
    wait_for_review,
    keep_active_revision,
    serve_newest,
    wait_for_store,
    stop_after_failure,
    wait_for_running_job,
    stop_at_failed_gates,
    record_revision,
    start_next_stage,
)


@dataclass(frozen=True)
class Decision:
    """The action, and the view that status and Events are derived from."""

    view: View
    action: Action


def decide(observed: Observed, now: datetime) -> Decision:
    """Return the first opinion of CHECKS, with the state of each revision added to its effects."""
    view = view_of(observed, now)
    opinions = (check(view) for check in CHECKS)
    action = next(opinion for opinion in opinions if opinion is not None)
    return Decision(view, replace(action, effects=action.effects + _revision_states(view)))


def _serve(view: View, target: ObservedRevision) -> Action:
    serving = view.serving
    if serving is not None and serving.loaded:
        return Action("Ready", "Serving", f"{target.name} is served: {serving.problem.message}")
    if serving is None or serving.stalled:
        problem = None if serving is None else serving.problem
        return Action(
            "Failed",
            problem.reason if problem else "NotServed",
            problem.message if problem else target.name,
            stalled=True,
        )
    return Action("Loading", serving.problem.reason, serving.problem.message, requeue_after=WAITING_POLL_SECONDS)


def _revision_states(view: View) -> tuple[Effect, ...]:
    hold = view.observed.voice.spec.retention.legal_hold
    states = []
    for revision in view.observed.revisions:
        state = _revision_state(view, revision)
        if not revision.deleting and (revision.state, revision.legal_hold) != (state, hold):
            states.append(SetRevisionState(revision.name, state, hold))
    return tuple(states)


def _revision_state(view: View, revision: ObservedRevision) -> str:
    if view.target is not None and revision.name == view.target.name:
        return "Active" if view.serving is not None and view.serving.loaded else "Candidate"
    if view.plan is not None and revision.name == view.plan.served.name:
        return "Active"  # until the target is loaded
    return "Candidate" if revision is view.current else "Superseded"


def _missed(gate: GateVerdict) -> str:
    bound = f"at least {gate.min}" if gate.min else f"at most {gate.max}"
    return f"{gate.metric} is {gate.value or 'not measured'}, {bound} is needed"


def _seconds_until_retry(stage: StageStatus, now: datetime) -> float:
    at = retry_at(stage)
    return 0.0 if at is None else (at - now).total_seconds()
