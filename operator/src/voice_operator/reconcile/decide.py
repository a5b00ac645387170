"""Decides the next action for a voice. The order of CHECKS is the policy: the first check with an opinion decides."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from voice_operator.api.voice_status import Phase
from voice_operator.reconcile.consent import consent_mismatch
from voice_operator.reconcile.copying import due_copies, obsolete_copies
from voice_operator.reconcile.effects import (
    ActivateWorkload,
    AdoptRevision,
    CreateRevision,
    DeleteJob,
    DeleteRevision,
    Effect,
    MarkRevoked,
    SealRevision,
    SetRevisionState,
    StartJob,
    SuspendJob,
)
from voice_operator.reconcile.failures import batch_size_divisor, memory_factor, reset_at, retry_at, why_final
from voice_operator.reconcile.gates import described_gate
from voice_operator.reconcile.names import revision_name
from voice_operator.reconcile.observed import Observed, ObservedJob, ObservedRevision
from voice_operator.reconcile.permission import review_of
from voice_operator.reconcile.proofs import inputs_of
from voice_operator.reconcile.serving import falls_short, regressions, was_served
from voice_operator.reconcile.stages import scheduling_deadline
from voice_operator.reconcile.times import render
from voice_operator.reconcile.view import View, is_given_up, policy_of, view_of

PHASE_OF_STAGE: dict[str, Phase] = {"prepare": "Preparing", "train": "Training", "evaluate": "Evaluating"}
PROGRESS_POLL_SECONDS = 5.0  # between passes over a running pod
JOB_POLL_SECONDS = 30.0  # between passes over a Job that waits: its events and its pod's come by watch, Events do not
DELETION_SECONDS = 60.0  # a Job's deletion that takes longer is told
WAITING_POLL_SECONDS = 10.0  # between passes over a change that normally comes with a watch event
DATASET_POLL_SECONDS = 30.0
STORE_POLL_SECONDS = 30.0
REFUSAL_POLL_SECONDS = 60.0  # between passes over what is not allowed: other voices may make room
MAX_REVIEW_WAIT_SECONDS = 6 * 3600.0  # for the end of a review: a clock may be set meanwhile

DEFAULT_GATES_HINT = (
    "Neither spec.evaluation.gates nor the base names gates, so the documented defaults (PESQ 3.5, STOI 0.85) apply, "
    "which few bases can reach: voice-trainer calibrate measures what a base reaches and writes its own gates"
)
REVIEW_REASONS = {
    "Waiting": "AwaitingReview",
    "Rejected": "ReviewRejected",
    "TimedOut": "ReviewTimedOut",
}


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


def rest_while_unused(view: View) -> Action | None:
    """What nobody asks for is unloaded and erased; it is trained again when somebody wants it."""
    if not view.use.unused:
        return None
    name = view.observed.voice.name
    message = (
        f"nobody has asked for it since {view.use.last} (spec.retention.unusedDays), so it is unloaded and what was "
        f"trained is erased; to train it again from its recordings, edit the spec or run kubectl annotate voice {name} "
        "voice.sovits.dev/retry=$(date +%s) --overwrite"
    )
    return Action("Unused", "Unused", message)


def hold_while_suspended(view: View) -> Action | None:
    """Suspend running Jobs; Kueue suspends those that it manages, once their Workload is inactive."""
    if not view.observed.voice.spec.suspend:
        return None
    jobs = tuple(effect for job in view.running if (effect := _suspension(job)) is not None)
    runs_on = [job.name for job in view.running if job.queued and job.workload is None and not job.suspended]
    but = f", but {runs_on[0]} runs on: its queue is not told (chart value kueue.enabled)" if runs_on else ""
    return Action("Suspended", "Suspended", f"spec.suspend is true; nothing is trained{but}", jobs)


def serve_the_pin(view: View) -> Action | None:
    """A rollback takes precedence over training; a pin without a revision changes nothing that is served."""
    pin = view.observed.voice.spec.serving.pin
    if not pin:
        return None
    stop = tuple(DeleteJob(job.name) for job in view.running)
    if view.target is not None and view.target.name == pin:
        action = _serve(view, view.target)
        return replace(action, effects=stop + action.effects)
    if pin in view.observed.unsealed:
        return Action("Failed", "NotSealed", not_sealed(pin), stop, stalled=True)
    held = _held(view)
    if held is not None:
        return replace(held, effects=stop + held.effects)
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


def refuse_dataset(view: View) -> Action | None:
    """Recordings that the namespace may not use are not even listed."""
    return _refused(view) if view.observed.dataset_refused else None


def refuse_training(view: View) -> Action | None:
    """What installation or namespace forbids is not trained; what is trained already is served on."""
    return _refused(view)


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


def wait_for_deletion(view: View) -> Action | None:
    """What is being erased would be mistaken for a result, and so would a revision that is being deleted."""
    if view.going:
        message = "what an earlier training of this input has left is being erased; then it is trained again"
        return Action("Preparing", "RevisionDeleting", message, requeue_after=WAITING_POLL_SECONDS)
    if view.current is None or not view.current.deleting:
        return None
    return Action(
        "Preparing", "RevisionDeleting", f"{view.current.name} is being deleted", requeue_after=WAITING_POLL_SECONDS
    )


def refuse_unsealed(view: View) -> Action | None:
    """A revision that somebody else made has the name of the one that this input leads to."""
    observed = view.observed
    name = revision_name(observed.voice.name, observed.input_hash) if observed.input_hash else ""
    return Action("Failed", "NotSealed", not_sealed(name), stalled=True) if name in observed.unsealed else None


def wait_for_review(view: View) -> Action | None:
    """What people must approve is not served before they do, nor what they rejected, nor another person's voice."""
    return _held(view)


def hold_below_gates(view: View) -> Action | None:
    """Gates that were raised after a revision was published hold it, unless it is or was served."""
    missed, current = falls_short(view.observed), view.current
    if not missed or current is None or was_served(view.observed, current):
        return None
    stays = f"; {view.target.name} stays served" if view.target is not None else "; nothing is served"
    message = (
        f"{current.name} does not reach the present gates: {'; '.join(map(described_gate, missed))}{stays}; to serve "
        f"it anyway, lower them or set spec.serving.pin to {current.name}; to train anew, set another "
        "spec.training.seed"
    )
    return Action("Failed", "GatesFailed", message, stalled=True)


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


def wait_for_evidence(view: View) -> Action | None:
    """A consent whose evidence has a digest is trained on once that is in place; what runs already goes on."""
    problem = view.observed.evidence_problem
    if problem is None or view.running:
        return None
    return Action("Preparing", problem.reason, problem.message, requeue_after=DATASET_POLL_SECONDS)


def wait_for_store(view: View) -> Action | None:
    """Without the outputs of the stages a Job might train what is trained already."""
    problem = view.observed.store_problem
    if problem is None:
        return None
    phase = PHASE_OF_STAGE[view.next_stage.name] if view.next_stage is not None else "Loading"
    return Action(phase, problem.reason, problem.message, requeue_after=STORE_POLL_SECONDS)


def stop_after_failure(view: View) -> Action | None:
    """A stage that failed for good waits for a person; after a pause it starts afresh by itself."""
    failed = next((stage for stage in view.stages if stage.state == "Failed"), None)
    if failed is None or failed.last_failure is None:
        return None
    policy = policy_of(view.observed, failed.name)
    why = why_final(failed, policy.retries, policy.job) or ""
    due = reset_at(failed, view.now)
    when = "" if due is None else f"; tried again at {render(due)}"
    return Action(
        "Failed",
        failed.last_failure.reason,
        f"{failed.name}: {failed.last_failure.message}{why}{when}",
        stalled=True,
        requeue_after=None if due is None else max((due - view.now).total_seconds(), 0),
    )


def wait_for_running_job(view: View) -> Action | None:
    """One Job at a time per voice; poll the progress of a pod that runs."""
    if not view.running:
        return None
    job = view.running[-1]
    resume = tuple(effect for job in view.running if (effect := _resumption(job)) is not None)
    phase = PHASE_OF_STAGE[job.stage]
    reason = job.waiting.reason if job.waiting else phase
    return Action(phase, reason, described(job), resume, requeue_after=_seconds_until_next_check(view, job))


def wait_for_leaving_job(view: View) -> Action | None:
    """One writer per workspace: the next attempt starts when the Job before it is gone."""
    if not view.leaving:
        return None
    job = view.leaving[0]
    stage = next((stage for stage in view.stages if stage.name == job.stage), None)
    reason, message = "JobReplaced", f"{job.name} makes room for the next attempt"
    if stage is not None and stage.on_demand_only:
        reason, message = "SpotGivenUp", f"{message}, which asks for on-demand nodes"
    requeue_after = JOB_POLL_SECONDS
    if job.deleting_since is not None:
        left = DELETION_SECONDS - (view.now - job.deleting_since).total_seconds()
        if left <= 0:
            reason = "JobDeleting"
            holders = ", ".join(job.held_by) or "none"
            message = f"{job.name} is being deleted since {render(job.deleting_since)}; finalizers: {holders}"
        else:
            requeue_after = min(left, requeue_after)
    return Action(PHASE_OF_STAGE[job.stage], reason, message, requeue_after=requeue_after)


def stop_at_failed_gates(view: View) -> Action | None:
    """A voice that is not good enough is never published."""
    if view.next_stage is not None or view.evaluated is None or view.evaluated.passed:
        return None
    missed = "; ".join(described_gate(gate) for gate in view.evaluated.gates if not gate.passed)
    hint = f". {DEFAULT_GATES_HINT}" if view.evaluated.gates_from == "default" and missed else ""
    return Action("Failed", "GatesFailed", f"{missed or 'the evaluation did not pass'}{hint}", stalled=True)


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
        (CreateRevision(name, published, view.evaluated, tuple(view.observed.proofs.values())),),
        requeue_after=0,
    )


def start_next_stage(view: View) -> Action | None:
    """In order, and no GPU Job before the recordings were accepted."""
    stage = view.next_stage
    if stage is None:
        return None
    phase = PHASE_OF_STAGE[stage.name]
    due = retry_at(stage, view.now)
    if due is not None and due > view.now and stage.last_failure is not None:
        message = f"{stage.name} is tried again at {render(due)}: {stage.last_failure.message}"
        return Action(phase, "Retrying", message, requeue_after=(due - view.now).total_seconds())
    start = StartJob(
        stage.name,
        stage.attempt + 1,
        batch_size_divisor(stage),
        memory_factor(stage, policy_of(view.observed, stage.name).job),
        stage.on_demand_only,
        inputs_of(stage.name, view.observed.proofs),
        view.target if stage.name == "evaluate" else None,
    )
    return Action(phase, phase, f"{stage.name} starts", (start,), requeue_after=PROGRESS_POLL_SECONDS)


CHECKS: tuple[Check, ...] = (
    stop_without_consent,
    rest_while_unused,
    hold_while_suspended,
    serve_the_pin,
    refuse_unknown_base,
    refuse_dataset,
    wait_for_dataset,
    stop_obsolete_jobs,
    wait_for_deletion,
    refuse_unsealed,
    wait_for_review,
    hold_below_gates,
    keep_active_revision,
    serve_newest,
    refuse_training,
    wait_for_evidence,
    wait_for_store,
    stop_after_failure,
    wait_for_running_job,
    stop_at_failed_gates,
    record_revision,
    wait_for_leaving_job,
    start_next_stage,
)


@dataclass(frozen=True)
class Decision:
    """The action, and the view that status and Events are derived from."""

    view: View
    action: Action


def decide(observed: Observed, now: datetime) -> Decision:
    """Return the first opinion of CHECKS; what is due whatever they say is added to its effects."""
    view = view_of(observed, now)
    opinions = (check(view) for check in CHECKS)
    action = next(opinion for opinion in opinions if opinion is not None)
    due = _adoptions(view) + _seals(view) + _revocations(view) + _given_up_jobs(view) + _revision_states(view)
    due += _deletions(view) + obsolete_copies(view) + due_copies(view)
    return Decision(view, replace(action, effects=action.effects + due))


def not_sealed(revision: str) -> str:
    """Return why a VoiceRevision is not served, and what to do."""
    return (
        f"VoiceRevision {revision} has no seal of this installation, so the operator did not make it, or somebody "
        f"changed it: it is never served; delete it (kubectl delete vrev {revision})"
    )


def described(job: ObservedJob) -> str:
    """Return what an unfinished Job does, as a sentence."""
    name = f"{job.name} (on-demand nodes)" if job.capacity == "OnDemand" else job.name
    if job.waiting is not None:
        return f"{name}: {job.waiting.message}"
    return f"{name} is running" if job.started else f"{name} has not started yet"


def _refused(view: View) -> Action | None:
    refusal = view.observed.refusal
    if refusal is None:
        return None
    jobs = tuple(DeleteJob(job.name) for job in view.running)
    stays = f"; {view.plan.served.name} stays served" if view.plan is not None and view.plan.server else ""
    return Action(
        "Failed",
        refusal.reason,
        f"{refusal.message}; nothing is trained{stays}",
        jobs,
        stalled=True,
        requeue_after=REFUSAL_POLL_SECONDS,
    )


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
            requeue_after=REFUSAL_POLL_SECONDS,
        )
    return Action("Loading", serving.problem.reason, serving.problem.message, requeue_after=WAITING_POLL_SECONDS)


def _held(view: View) -> Action | None:
    """Return why people do not permit the revision that the spec asks for, and what is served instead."""
    revision, voice = view.requested, view.observed.voice
    if revision is None:
        return None
    served = view.plan.served.name if view.plan is not None and view.plan.server is not None else ""
    stays = f"; {served} stays served" if served else "; nothing is served"
    mismatch = consent_mismatch(voice.spec.consent, revision.record)
    if mismatch is not None:
        message = f"{revision.name} is not served: {mismatch.message}{stays}"
        return Action("Failed", mismatch.reason, message, stalled=True)
    review = review_of(revision, voice, view.now)
    if review.permits:
        return None
    if review.state != "Waiting":
        message = f"{revision.name} is not served: {review.message}{stays}"
        return Action("Failed", REVIEW_REASONS[review.state], message, stalled=True)
    until = "" if review.ends is None else f" until {render(review.ends)}"
    asked = voice.spec.review.required or (revision.record.rules is not None and revision.record.rules.required)
    by = "" if asked else " (chart value policy.review.required)"
    message = f"{revision.name} waits for approval{by}{until}: {review.message}{stays}"
    waits = [] if review.ends is None else [(review.ends - view.now).total_seconds(), MAX_REVIEW_WAIT_SECONDS]
    if view.serving is not None and not view.serving.loaded:
        waits.append(WAITING_POLL_SECONDS)
    return Action("AwaitingReview", "AwaitingReview", message, requeue_after=min(waits, default=None))


def _revocations(view: View) -> tuple[Effect, ...]:
    """Mark what was made under a revoked consent: the marks survive the loss of the voice's status."""
    if view.consent is None or view.consent.reason != "ConsentRevoked":
        return ()
    kept = (revision for revision in view.observed.revisions if not revision.deleting)
    return tuple(MarkRevoked(revision.name) for revision in kept if not revision.record.revoked)


def _suspension(job: ObservedJob) -> Effect | None:
    """Return what stops a Job; None: it is stopped, or its queue cannot be told (chart value kueue.enabled)."""
    if job.workload is not None:
        return ActivateWorkload(job.workload.name, active=False) if job.workload.active else None
    return None if job.suspended or job.queued else SuspendJob(job.name, suspend=True)


def _resumption(job: ObservedJob) -> Effect | None:
    """Return what lets a Job go on that the operator itself stopped; what others stopped is left alone."""
    if job.workload is not None:
        known = job.workload
        return ActivateWorkload(known.name, active=True) if known.held and not known.active else None
    return SuspendJob(job.name, suspend=False) if job.suspended and job.held and not job.queued else None


def _given_up_jobs(view: View) -> tuple[Effect, ...]:
    """Delete the Jobs of attempts that were given up: not before the status says so, or a crash would forget why."""
    status = view.observed.voice.status
    if status.input_hash != view.observed.input_hash:
        return ()
    waiting = (job for job in view.leaving if job.state == "Running")
    return tuple(DeleteJob(job.name) for job in waiting if is_given_up(job, status.stages))


def _seconds_until_next_check(view: View, job: ObservedJob) -> float | None:
    if job.started:
        return PROGRESS_POLL_SECONDS
    if job.suspended and job.queued:
        return job.next_check  # the queue's decision comes by watch
    checks = [JOB_POLL_SECONDS] if job.next_check is None else [JOB_POLL_SECONDS, job.next_check]
    record = next(stage for stage in view.stages if stage.name == job.stage)
    deadline = scheduling_deadline(job, record, policy_of(view.observed, job.stage))
    if deadline is not None:
        checks.append(max((deadline - view.now).total_seconds(), 1.0))
    return min(checks)


def _adoptions(view: View) -> tuple[Effect, ...]:
    """What was made for this voice belongs to it, whatever a restored backup or a person did to owner and label."""
    kept = [revision for revision in view.observed.revisions if not revision.deleting]
    return tuple(AdoptRevision(revision.name) for revision in kept if revision.adoptable or not revision.labelled)


def _seals(view: View) -> tuple[Effect, ...]:
    return tuple(SealRevision(one.name, one.missing_seal) for one in view.observed.revisions if one.missing_seal)


def _revision_states(view: View) -> tuple[Effect, ...]:
    hold = view.observed.voice.spec.retention.legal_hold
    states = []
    for revision in view.observed.revisions:
        state = _revision_state(view, revision)
        review = review_of(revision, view.observed.voice, view.now)
        reviewed = (None if review.state == "NotRequired" else review.state, review.count)
        pinned = view.observed.voice.spec.serving.pin == revision.name
        known = (revision.state, revision.legal_hold, revision.reviewed, revision.pinned)
        if not revision.deleting and known != (state, hold, reviewed, pinned):
            states.append(SetRevisionState(revision.name, state, hold, *reviewed, pinned=pinned))
    return tuple(states)


def _revision_state(view: View, revision: ObservedRevision) -> str:
    if view.target is not None and revision.name == view.target.name:
        return "Active" if view.serving is not None and view.serving.loaded else "Candidate"
    if view.plan is not None and revision.name == view.plan.served.name:
        return "Active"  # until the target is loaded
    return "Candidate" if revision is view.current else "Superseded"


def _deletions(view: View) -> tuple[Effect, ...]:
    """Delete the revisions whose artifacts go: not before the status says why, and not while one is served."""
    recorded = {one.hash: one.erase for one in view.observed.voice.status.inputs}
    going = {one.hash for one in view.inputs if one.erase is not None and recorded.get(one.hash) == one.erase}
    return tuple(
        DeleteRevision(one.name)
        for one in view.observed.revisions
        if one.input_hash in going and one.state in {"Candidate", "Superseded"} and not one.deleting
    )
