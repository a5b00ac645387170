"""Derives a VoiceModel's status: conditions for programs, a phase and progress for people."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from voice_operator.api.conditions import Condition, ConditionStatus
from voice_operator.api.voice_status import (
    STAGES,
    Loading,
    PreparedRecordings,
    Progress,
    StageStatus,
    VoiceModelStatus,
)
from voice_operator.reconcile.copying import copy_status
from voice_operator.reconcile.decide import REVIEW_REASONS, Action, Decision, described
from voice_operator.reconcile.effects import DeleteJob
from voice_operator.reconcile.erasure import WHOLE, tombstones_after
from voice_operator.reconcile.gates import described_gate
from voice_operator.reconcile.identity import recorded_evaluation
from voice_operator.reconcile.observed import Observed
from voice_operator.reconcile.permission import may_be_served, review_of
from voice_operator.reconcile.proofs import STAGE_OF
from voice_operator.reconcile.review import requesters_of
from voice_operator.reconcile.serving import comparison_of, falls_short, is_served, loading_since
from voice_operator.reconcile.stages import stopped
from voice_operator.reconcile.times import render
from voice_operator.reconcile.view import View

CONDITION_OF_STAGE = {"prepare": "Prepared", "train": "Trained", "evaluate": "Evaluated"}


class ConditionUpdate(NamedTuple):
    """A condition found by this pass; its time of transition depends on the earlier one."""

    type: str
    status: ConditionStatus
    reason: str
    message: str = ""


def status_of(decision: Decision) -> VoiceModelStatus:
    """Return the whole new status."""
    view, action = decision.view, decision.action
    observed, voice = view.observed, view.observed.voice
    old = voice.status
    deleted = {effect.name for effect in action.effects if isinstance(effect, DeleteJob)}
    stages = tuple(stopped(stage) if stage.job in deleted else stage for stage in view.stages)
    active, candidate, previous = _revisions(view)
    target = view.target
    scored = view.current or view.evaluated or target
    plan = view.plan
    server = plan.server if plan is not None else None
    return VoiceModelStatus(
        phase=action.phase,
        conditions=conditions_of(old.conditions, _condition_updates(view, action), voice.generation, view.now),
        observed_generation=voice.generation,
        last_handled_request=_handled_request(view),
        input_hash=observed.input_hash,
        training_hash=observed.training_hash,
        evaluation_hash=_evaluation_hash(view),
        base=voice.base if observed.base_known else old.base,
        dataset=observed.dataset,
        recordings=_recordings(view),
        requested_by=requesters_of(voice, observed.input_hash) if view.current is None else old.requested_by,
        evidence=observed.evidence,
        revoked_at=old.revoked_at or (render(view.now) if voice.spec.consent.revoked else None),
        active_revision=active,
        candidate_revision=candidate,
        previous_revision=previous,
        artifacts=None if plan is None else plan.served.artifacts,
        loading=_loading(view),
        scores=dict(scored.scores) or None if scored else None,
        gates=scored.gates or None if scored else None,
        stages=stages,
        progress=_progress(view, action),
        server=server.id if server else None,
        endpoint=server.endpoint if server else None,
        last_used=view.use.last.isoformat(),
        inputs_of=voice.uid,
        inputs=view.inputs,
        erased=tombstones_after(observed),
        alerts=old.alerts,
        hub_copy=copy_status(view),
    )


def _recordings(view: View) -> PreparedRecordings | None:
    """Return what prepare found for the present input; its manifest is not read again once that is recorded."""
    output, old = view.observed.outputs.get("prepare"), view.observed.voice.status
    if output is not None and output.recordings is not None:
        return output.recordings
    return old.recordings if old.input_hash == view.observed.input_hash else None


def _handled_request(view: View) -> str | None:
    """Return the request last acted upon: a pass that could not observe everything leaves it to a later one."""
    voice = view.observed.voice
    if not voice.request:
        return None
    acted = view.observed.complete and view.consent is None
    return voice.request if acted else voice.status.last_handled_request


def conditions_of(
    old: Iterable[Condition], updates: Iterable[ConditionUpdate], generation: int, now: datetime
) -> tuple[Condition, ...]:
    """Return the conditions; the time of the last transition moves only when a condition's status does."""
    previous = {condition.type: condition for condition in old}
    conditions = []
    for update in updates:
        earlier = previous.get(update.type)
        unchanged = earlier if earlier is not None and earlier.status == update.status else None
        conditions.append(
            Condition(
                type=update.type,
                status=update.status,
                reason=update.reason,
                message=update.message[:4096],
                observed_generation=generation,
                last_transition_time=unchanged.last_transition_time if unchanged else render(now),
            )
        )
    return tuple(conditions)


def _condition_updates(view: View, action: Action) -> Iterable[ConditionUpdate]:
    ready = action.phase == "Ready"
    working = not ready and not action.stalled and action.phase not in {"Suspended", "AwaitingReview", "Unused"}
    yield ConditionUpdate("Ready", _condition_status(ready), action.reason, action.message)
    yield ConditionUpdate(
        "Reconciling",
        _condition_status(working),
        action.reason if working else "Idle",
        action.message if working else "",
    )
    yield ConditionUpdate(
        "Stalled",
        _condition_status(action.stalled),
        action.reason if action.stalled else "NotStalled",
        action.message if action.stalled else "",
    )
    if view.consent is None:
        yield ConditionUpdate("ConsentValid", "True", "Valid", f"{view.observed.voice.spec.consent.holder} agreed")
    else:
        yield ConditionUpdate("ConsentValid", "False", view.consent.reason, view.consent.message)
    refusal = view.observed.refusal
    yield ConditionUpdate(
        "Allowed",
        _condition_status(refusal is None),
        "Allowed" if refusal is None else refusal.reason,
        "" if refusal is None else refusal.message,
    )
    for name in STAGES:
        stage = next((stage for stage in view.stages if stage.name == name), None)
        yield _stage_condition(view, stage or StageStatus(name=name))
    yield _gates_condition(view)
    yield _approval_condition(view)
    yield _serving_condition(view)
    yield _retained_condition(view)


def _stage_condition(view: View, stage: StageStatus) -> ConditionUpdate:
    kind = CONDITION_OF_STAGE[stage.name]
    job = next((job for job in view.running if job.stage == stage.name), None)
    if stage.state == "Succeeded":
        return ConditionUpdate(kind, "True", "Succeeded", f"done at {stage.completed_at}" if stage.completed_at else "")
    if job is not None:
        reason = job.waiting.reason if job.waiting else "Running" if job.started else "NotStarted"
        return ConditionUpdate(kind, "False", reason, described(job))
    failure = stage.last_failure
    if stage.state == "Failed" and failure is not None:
        return ConditionUpdate(kind, "False", failure.reason, failure.message)
    if (unproved := _unproved(view, stage)) is not None:
        return ConditionUpdate(kind, "False", "UnprovedResult", unproved)
    if failure is not None:
        return ConditionUpdate(kind, "False", "Retrying", f"attempt {failure.attempt} failed: {failure.message}")
    return ConditionUpdate(kind, "False", "Pending")


def _unproved(view: View, stage: StageStatus) -> str | None:
    """Return why a result of the stage that is in the object store does not count."""
    found = view.observed.unproved.items() if view.current is None else ()
    return next((sentence for folder, sentence in found if STAGE_OF[folder] == stage.name), None)


def _gates_condition(view: View) -> ConditionUpdate:
    if view.current is not None:
        missed = "; ".join(map(described_gate, falls_short(view.observed)))
        below = f"{view.current.name} was published for other gates and does not reach the present ones: {missed}"
        told = [below if missed else "", _scores(view.current.scores), comparison_of(view.observed)]
        reason = "BelowGates" if missed else "Passed"
        return ConditionUpdate("GatesPassed", _condition_status(not missed), reason, "; ".join(filter(None, told)))
    if view.next_stage is not None or view.evaluated is None:
        return ConditionUpdate("GatesPassed", "Unknown", "NotEvaluated")
    if view.evaluated.passed:
        return ConditionUpdate("GatesPassed", "True", "Passed", _scores(view.evaluated.scores))
    missed = ", ".join(gate.metric for gate in view.evaluated.gates if not gate.passed)
    return ConditionUpdate(
        "GatesPassed", "False", "GatesFailed", f"not reached: {missed}; {_scores(view.evaluated.scores)}"
    )


def _approval_condition(view: View) -> ConditionUpdate:
    voice = view.observed.voice
    revision = view.requested
    if revision is None and not voice.review_required:
        return ConditionUpdate("Approved", "True", "NotRequired")
    if revision is None:
        return ConditionUpdate("Approved", "Unknown", "NothingToApprove")
    review = review_of(revision, voice, view.now)
    reason = REVIEW_REASONS.get(review.state, review.state)
    message = f"{revision.name}: {review.message}" if review.message else ""
    return ConditionUpdate("Approved", _condition_status(review.permits), reason, message)


def _serving_condition(view: View) -> ConditionUpdate:
    if view.serving is None or view.target is None:
        reason = "NotPublished" if view.consent is None else view.consent.reason
        return ConditionUpdate("Serving", "False", reason)
    if view.serving.loaded:
        return ConditionUpdate(
            "Serving", "True", "Loaded", f"{view.target.name} is served: {view.serving.problem.message}"
        )
    served = view.plan.served if view.plan is not None else view.target
    if view.plan is not None and view.plan.server is not None and is_served(view.observed, served):
        return ConditionUpdate(
            "Serving", "True", "Loaded", f"{served.name} is served until {view.target.name} is loaded"
        )
    return ConditionUpdate("Serving", "False", view.serving.problem.reason, view.serving.problem.message)


def _retained_condition(view: View) -> ConditionUpdate:
    """Whether what was made is kept, and until when."""
    voice, use = view.observed.voice, view.use
    revoked = view.consent is not None and view.consent.reason == "ConsentRevoked"
    if voice.spec.retention.legal_hold:
        return ConditionUpdate("Retained", "True", "LegalHold", "spec.retention.legalHold forbids every erasure")
    if revoked and voice.spec.consent.erase:
        return ConditionUpdate(
            "Retained", "False", "ErasureRequested", _erasure(view, "everything that was made of it")
        )
    if revoked:
        message = _erasure(view, "copies of the recordings, features and checkpoints")
        kept = (
            ""
            if not view.observed.revisions
            else f"; the published bundles go on {use.ends}, or with spec.consent.erase"
        )
        return ConditionUpdate("Retained", "False", "ConsentRevoked", message + kept)
    if use.unused:
        return ConditionUpdate("Retained", "False", "Unused", f"nobody has asked for it since {use.last}")
    if use.unused_soon:
        message = (
            f"nobody has asked for it since {use.last}; on {use.ends} it is unloaded and what was trained is erased, "
            "unless somebody asks for it before or spec.retention.unusedDays is raised"
        )
        return ConditionUpdate("Retained", "True", "UnusedSoon", message)
    return ConditionUpdate("Retained", "True", "Kept")


def _erasure(view: View, what: str) -> str:
    """Return the sentence about the erasure of a voice that was revoked."""
    done = [one for one in tombstones_after(view.observed) if one.input_hash == WHOLE]
    if not done:
        return f"{what}: being erased"
    last = done[-1]
    return f"{what}: erased at {last.time}; the recordings themselves were not touched"


def _revisions(view: View) -> tuple[str | None, str | None, str | None]:
    """Return active, candidate and previous revision: a target becomes active when the pods have loaded it."""
    old = view.observed.voice.status
    waiting = view.current.name if view.current is not None and not view.current.deleting else None
    if view.target is None:
        return None, None if view.consent else waiting, old.active_revision or old.previous_revision
    target = view.target.name
    if view.serving is not None and view.serving.loaded:
        previous = old.active_revision if old.active_revision not in {None, target} else old.previous_revision
        return target, waiting if waiting != target and not view.observed.voice.spec.serving.pin else None, previous
    names = {one.name for one in view.observed.revisions if one.deleting or may_be_served(one, view.observed.voice)}
    active = old.active_revision if old.active_revision in names else None
    return active, target if target != active else None, old.previous_revision


def _loading(view: View) -> Loading | None:
    plan, target = view.plan, view.target
    if plan is None or target is None or plan.loading is None:
        return None
    since = loading_since(view.observed.voice.status, target, plan.loading) or view.now
    return Loading(server=plan.loading.id, artifacts=target.artifacts, since=render(since))


def _evaluation_hash(view: View) -> str | None:
    """Return which gates and sentences the evaluate record is for; a published voice is not evaluated again."""
    voice = view.observed.voice
    if view.current is not None:  # the status may know nothing yet: a crash before it was written, at each of its Jobs
        return _evaluation_of_newest_job(view.observed) or voice.status.evaluation_hash
    if view.consent is not None or not view.observed.complete:
        return voice.status.evaluation_hash
    evaluated = any(stage.name == "evaluate" and stage.state == "Succeeded" for stage in view.stages)
    return recorded_evaluation(voice, evaluated=evaluated)


def _evaluation_of_newest_job(observed: Observed) -> str | None:
    """Return what the newest evaluation of the present input that succeeded was given; None: it is gone."""
    present = (job for job in observed.jobs if job.stage == "evaluate" and job.input_hash == observed.input_hash)
    succeeded = {job.attempt: job.evaluation_hash for job in present if job.state == "Succeeded"}
    return succeeded[max(succeeded)] or None if succeeded else None


def _progress(view: View, action: Action) -> Progress | None:
    if view.running:
        return view.observed.progress or Progress(stage=view.running[-1].stage, percent=0)
    if view.current is not None or (view.evaluated is not None and view.next_stage is None):
        passed = view.current is not None or (view.evaluated is not None and view.evaluated.passed)
        return Progress(stage="publish" if passed else "evaluate", percent=100)
    if view.next_stage is not None and action.phase != "Failed":
        return Progress(stage=view.next_stage.name, percent=0)
    old = view.observed.voice.status
    return old.progress if old.input_hash == view.observed.input_hash else None


def _scores(scores: Mapping[str, str]) -> str:
    return ", ".join(f"{metric} {value}" for metric, value in sorted(scores.items()))


def _condition_status(value: bool) -> ConditionStatus:
    return "True" if value else "False"
