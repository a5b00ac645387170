"""Derives from the observed state the view that decisions use: stages, revision to serve, consent."""

from dataclasses import dataclass
from datetime import datetime

from voice_operator.api.voice_status import STAGES, StageStatus
from voice_operator.reconcile.consent import consent_problem
from voice_operator.reconcile.observed import Observed, ObservedJob, ObservedRevision, Problem, StageOutput
from voice_operator.reconcile.serving import (
    ServingPlan,
    ServingState,
    current_revision,
    serving_plan,
    target_revision,
)
from voice_operator.reconcile.stages import advance, restarted


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
    obsolete: tuple[ObservedJob, ...]  # still running for an earlier input

    @property
    def serving(self) -> ServingState | None:
        """Whether the target is loaded."""
        return None if self.plan is None else self.plan.state

    @property
    def next_stage(self) -> StageStatus | None:
        """The first stage that is not done."""
        return next((stage for stage in self.stages if stage.state != "Succeeded"), None)

    @property
    def evaluated(self) -> StageOutput | None:
        """Output of the evaluate stage, where it is done and no revision records it yet."""
        return self.observed.outputs.get("evaluate")


def view_of(observed: Observed, now: datetime) -> View:
    """Derive the view; pure, so that the same observation always gives the same view."""
    consent = consent_problem(observed.voice.spec.consent, now)
    target = target_revision(observed, consent_valid=consent is None)
    active = [job for job in observed.jobs if job.state == "Running"]
    return View(
        observed=observed,
        now=now,
        consent=consent,
        stages=_stages(observed, now) if observed.complete and consent is None else _recorded_stages(observed),
        current=current_revision(observed),
        target=target,
        plan=None if target is None else serving_plan(observed, target, now),
        running=tuple(job for job in active if job.input_hash == observed.input_hash),
        obsolete=tuple(job for job in active if observed.input_hash and job.input_hash != observed.input_hash),
    )


def _recorded_stages(observed: Observed) -> tuple[StageStatus, ...]:
    """Return the recorded stages of the present input."""
    status = observed.voice.status
    return status.stages if status.input_hash == observed.input_hash else ()


def _stages(observed: Observed, now: datetime) -> tuple[StageStatus, ...]:
    voice = observed.voice
    recorded = {stage.name: stage for stage in voice.status.stages}
    if observed.input_hash != voice.status.input_hash:
        recorded = {}
    elif _results_are_lost(observed):
        recorded = {name: restarted(stage) for name, stage in recorded.items()}
    elif voice.request != (voice.status.last_handled_request or ""):
        recorded = {name: restarted(stage) if stage.state == "Failed" else stage for name, stage in recorded.items()}
    previous_succeeded = True
    stages = []
    for name in STAGES:
        jobs = [job for job in observed.jobs if job.stage == name and job.input_hash == observed.input_hash]
        output = observed.outputs.get(name) if previous_succeeded and _is_complete(observed, name) else None
        record = advance(
            name, recorded=recorded.get(name), jobs=jobs, output=output, retries=voice.spec.retries, now=now
        )
        stages.append(record)
        previous_succeeded = record.state == "Succeeded"
    return tuple(stages)


def _is_complete(observed: Observed, name: str) -> bool:
    """Return whether a stage's last manifest exists; a voice that passed its gates must also be published."""
    output = observed.outputs.get("evaluate")
    if name != "evaluate" or output is None:
        return True
    return not output.passed or "publish" in observed.outputs


def _results_are_lost(observed: Observed) -> bool:
    """Return whether revision and manifests of a finished training were deleted."""
    finished = any(stage.name == "evaluate" and stage.state == "Succeeded" for stage in observed.voice.status.stages)
    kept = "evaluate" in observed.outputs and _is_complete(observed, "evaluate")
    return finished and current_revision(observed) is None and not kept
