"""Derives from the observed state the view that decisions use: stages, revision to serve, consent."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from voice_operator.api.voice_status import STAGES, StageName, StageStatus, TrainedInput
from voice_operator.reconcile.consent import consent_problem, remembered_problem
from voice_operator.reconcile.erasure import inputs_after, is_going, recorded_stages
from voice_operator.reconcile.failures import reset_at
from voice_operator.reconcile.identity import evaluation_changed, has_present_evaluation, is_present
from voice_operator.reconcile.observed import (
    JobPolicy,
    Observed,
    ObservedJob,
    ObservedRevision,
    Problem,
    Proof,
    StageFolder,
    StageOutput,
    Voice,
)
from voice_operator.reconcile.permission import review_of
from voice_operator.reconcile.proofs import STAGE_OF
from voice_operator.reconcile.retention import Use, surplus, use_of
from voice_operator.reconcile.serving import (
    ServingPlan,
    ServingState,
    current_revision,
    serving_plan,
    target_revision,
)
from voice_operator.reconcile.stages import StagePolicy, advance, restarted


@dataclass(frozen=True)
class View:
    """The input of the checks of ``decide``."""

    observed: Observed
    now: datetime
    consent: Problem | None
    stages: tuple[StageStatus, ...]
    current: ObservedRevision | None  # trained from exactly the present input
    target: ObservedRevision | None  # to be served
    plan: ServingPlan | None  # for the target
    running: tuple[ObservedJob, ...]  # of the present input
    leaving: tuple[ObservedJob, ...]  # of any input: deleted, or to be deleted because the attempt was given up
    obsolete: tuple[ObservedJob, ...]  # still running for an earlier input
    use: Use
    inputs: tuple[TrainedInput, ...]  # that have left something in the object store
    going: bool = False  # what the present input has left is being erased

    @property
    def serving(self) -> ServingState | None:
        """Whether the target is loaded."""
        return None if self.plan is None else self.plan.state

    @property
    def requested(self) -> ObservedRevision | None:
        """The revision that the spec asks for: the pinned one, else the one of the present input."""
        pin = self.observed.voice.spec.serving.pin
        if not pin:
            return self.current
        return next((one for one in self.observed.revisions if one.name == pin and not one.deleting), None)

    @property
    def next_stage(self) -> StageStatus | None:
        """The first stage that is not done."""
        return next((stage for stage in self.stages if stage.state != "Succeeded"), None)

    @property
    def evaluated(self) -> StageOutput | None:
        """Output of the evaluate stage, where it is done and no revision records it yet."""
        return _output(self.observed, "evaluate")

    @property
    def published(self) -> StageOutput | None:
        """Output of the publish stage, likewise."""
        return _output(self.observed, "publish")


def view_of(observed: Observed, now: datetime) -> View:
    """Derive the view; pure, so that the same observation always gives the same view."""
    consent = consent_problem(
        observed.voice.spec.consent,
        now,
        revoked_at=observed.voice.status.revoked_at,
        revisions=[revision.record for revision in observed.revisions if not revision.deleting],
    )
    if consent is None and observed.revoked_before is not None:
        consent = remembered_problem(observed.revoked_before)
    active = [job for job in observed.jobs if job.state == "Running"]
    use = use_of(observed, now, busy=bool(active) or _is_reviewed(observed, now))
    target = None if use.unused else target_revision(observed, consent_valid=consent is None)
    known = observed.complete and consent is None
    stages = _stages(observed, now) if known else _numbered_stages(observed)
    given_up = {job.name for job in active if _is_current(job, observed) and is_given_up(job, stages)}
    return View(
        observed=observed,
        now=now,
        consent=consent,
        stages=stages,
        current=current_revision(observed),
        target=target,
        plan=None if target is None else serving_plan(observed, target, now),
        running=tuple(job for job in active if _is_current(job, observed) and job.name not in given_up),
        leaving=tuple(job for job in observed.jobs if job.state == "Deleting" or job.name in given_up),
        obsolete=tuple(job for job in active if observed.input_hash and not _is_current(job, observed)),
        use=use,
        inputs=inputs_after(
            observed,
            unused=use.unused,
            surplus=_surplus(observed, target),
            revoked=consent is not None and consent.reason == "ConsentRevoked",
            now=now,
        ),
        going=is_going(observed, observed.input_hash),
    )


def _is_reviewed(observed: Observed, now: datetime) -> bool:
    """Return whether a revision waits for people's approval."""
    return any(review_of(one, observed.voice, now).state == "Waiting" for one in observed.revisions)


def _surplus(observed: Observed, target: ObservedRevision | None) -> frozenset[str]:
    """Return the revisions beyond ``retention.keepRevisions``."""
    voice, status = observed.voice, observed.voice.status
    last_good = status.active_revision or status.previous_revision
    named = (last_good, status.candidate_revision, status.previous_revision, voice.spec.serving.pin)
    current = current_revision(observed)
    served = (one.name for one in (target, current) if one is not None)
    return surplus(
        observed.revisions,
        voice.spec.retention.keep_revisions,
        protected={*(name for name in named if name), *served},
        last_good=last_good,
    )


def _numbered_stages(observed: Observed) -> tuple[StageStatus, ...]:
    """Return the recorded stages, with the attempts that no status names yet: they may be deleted in this pass."""
    recorded = {stage.name: stage for stage in recorded_stages(observed.voice, observed.input_hash)}
    for job in observed.jobs:
        known = recorded.get(job.stage) or StageStatus(name=job.stage)
        if job.input_hash == observed.input_hash and job.attempt > known.attempt:
            state = "Running" if job.state in {"Running", "Deleting"} else known.state
            about = {"attempt": job.attempt, "job": job.name, "state": state}
            recorded[job.stage] = known.model_copy(update=about)
    return tuple(recorded[name] for name in STAGES if name in recorded)


def _is_current(job: ObservedJob, observed: Observed) -> bool:
    """Return whether a Job works on the present input; an evaluation, on the present gates and sentences too."""
    same_evaluation = job.stage != "evaluate" or has_present_evaluation(job, observed.voice)
    return job.input_hash == observed.input_hash and same_evaluation


def _stages(observed: Observed, now: datetime) -> tuple[StageStatus, ...]:
    voice = observed.voice
    recorded = {stage.name: stage for stage in recorded_stages(voice, observed.input_hash)}
    if observed.input_hash != voice.status.input_hash:
        pass  # only the numbers of attempts are known
    elif _results_are_lost(observed):
        recorded = {name: restarted(stage) for name, stage in recorded.items()}
    else:
        afresh = voice.retry_requested or _is_edited(voice)
        recorded = {name: _started_afresh(stage, now, afresh=afresh) for name, stage in recorded.items()}
    if current_revision(observed) is None and evaluation_changed(voice):
        recorded = {name: restarted(stage) if _depends(stage) else stage for name, stage in recorded.items()}
    unproved = {STAGE_OF[folder]: sentence for folder, sentence in observed.unproved.items()}
    previous_succeeded = True
    stages = []
    for name in STAGES:
        jobs = [job for job in observed.jobs if job.stage == name and job.input_hash == observed.input_hash]
        output = _output(observed, name) if previous_succeeded and _is_complete(observed, name) else None
        stale = [job.attempt for job in jobs if job.state != "Running" and not has_present_evaluation(job, voice)]
        known = recorded.get(name) or StageStatus(name=name)
        if name in unproved and known.state == "Succeeded" and current_revision(observed) is None:
            known = restarted(known)
        record = advance(
            name,
            recorded=_accounted(known if output is None else _proved(known, observed.proofs.get(name)), stale),
            jobs=jobs,
            output=output,
            unproved=unproved.get(name, ""),
            policy=policy_of(observed, name),
            now=now,
        )
        stages.append(record)
        previous_succeeded = record.state == "Succeeded"
    return tuple(stages)


def _depends(record: StageStatus) -> bool:
    """Return whether a record may be due to gates and sentences: prepare refuses those that evaluate could not use."""
    return record.name == "evaluate" or (record.name == "prepare" and record.state == "Failed")


def _accounted(record: StageStatus, attempts: Collection[int]) -> StageStatus:
    """Return the record without counting how these attempts ended: it says nothing about the present input."""
    return record.model_copy(update={"counted": max(record.counted, *attempts)}) if attempts else record


def _proved(record: StageStatus, proof: Proof | None) -> StageStatus:
    """Return the record with the attempt that made the result: its Job may be gone before a status named it."""
    if proof is None or proof.attempt <= record.attempt:
        return record
    return record.model_copy(update={"attempt": proof.attempt, "job": proof.job})


def _output(observed: Observed, stage: StageFolder) -> StageOutput | None:
    """Return a stage's output. Before the voice is published, one for other gates or sentences counts as absent."""
    output = observed.outputs.get(stage)
    if output is None or stage not in {"evaluate", "publish"} or current_revision(observed) is not None:
        return output
    return output if is_present(output, observed.voice) else None


def policy_of(observed: Observed, stage: StageName) -> StagePolicy:
    """Return what spec and installation say about the attempts of a stage."""
    spec = observed.voice.spec
    return StagePolicy(spec.retries, spec.compute, observed.job_policies.get(stage, JobPolicy()))


def is_given_up(job: ObservedJob, stages: Iterable[StageStatus]) -> bool:
    """Return whether the record is done with a Job that has not ended."""
    return any(stage.name == job.stage and job.attempt <= stage.counted for stage in stages)


def is_due(stages: Iterable[StageStatus], now: datetime) -> bool:
    """Return whether a stage that failed for good starts afresh now."""
    return any((due := reset_at(stage, now)) is not None and due <= now for stage in stages)


def _is_edited(voice: Voice) -> bool:
    """Return whether the spec has changed since the last pass that observed everything."""
    return voice.status.dataset is not None and voice.status.dataset.generation != voice.generation


def _started_afresh(stage: StageStatus, now: datetime, *, afresh: bool) -> StageStatus:
    """Return the stage with unused budgets where somebody asked for that, or where it is time after a final failure."""
    if afresh and stage.state in {"Failed", "Pending"}:
        return restarted(stage)
    return restarted(stage, final=stage.failures.final) if is_due((stage,), now) else stage


def _is_complete(observed: Observed, name: str) -> bool:
    """Return whether a stage's last manifest exists; a voice that passed its gates must also be published."""
    output = _output(observed, "evaluate")
    if name != "evaluate" or output is None:
        return True
    return not output.passed or _output(observed, "publish") is not None


def _results_are_lost(observed: Observed) -> bool:
    """Return whether revision and manifests of a finished training were deleted."""
    finished = any(stage.name == "evaluate" and stage.state == "Succeeded" for stage in observed.voice.status.stages)
    kept = "evaluate" in observed.outputs and _is_complete(observed, "evaluate")  # also for other gates
    return finished and current_revision(observed) is None and not kept
