"""The state machine of a stage: the recorded status advanced by observed Jobs; each attempt is accounted for once."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from voice_operator.api.voice_model import Compute, Retries
from voice_operator.api.voice_status import Failures, LastFailure, StageName, StageState, StageStatus
from voice_operator.reconcile.failures import counted, failure_class, why_final
from voice_operator.reconcile.observed import JobFailure, JobPolicy, ObservedJob, StageOutput
from voice_operator.reconcile.times import parse, render
from voice_operator.units import seconds

_VANISHED = JobFailure("JobVanished", "the Job is gone and left no result")
_NO_RESULT = JobFailure("ResultMissing", "the Job succeeded, but its manifest is not in the object store")


@dataclass(frozen=True)
class StagePolicy:
    """What spec and installation say about the attempts of a stage."""

    retries: Retries = field(default_factory=Retries)
    compute: Compute = field(default_factory=Compute)
    job: JobPolicy = field(default_factory=JobPolicy)


def advance(
    stage: StageName,
    *,
    recorded: StageStatus | None,
    jobs: Iterable[ObservedJob],
    output: StageOutput | None,
    policy: StagePolicy,
    now: datetime,
    unproved: str = "",
) -> StageStatus:
    """Return the stage's new record. ``jobs`` are those of this stage and input hash.

    ``unproved`` says why a result that is there does not count.
    """
    record = recorded or StageStatus(name=stage)
    if record.state == "Succeeded":
        return record
    observed = sorted(jobs, key=lambda job: job.attempt)
    if observed and observed[-1].attempt >= record.attempt:
        newest = observed[-1]
        record = record.model_copy(
            update={
                "attempt": newest.attempt,
                "job": newest.name,
                "capacity": newest.capacity,
                "ran": record.ran and newest.attempt == record.attempt,
                "started_at": newest.started_at or record.started_at,
            }
        )
    if output is not None:
        return record.model_copy(
            update={
                "state": "Succeeded",
                "counted": record.attempt,
                "ran": False,
                "started_at": output.started_at,
                "completed_at": output.completed_at,
            }
        )
    missing = JobFailure("UnprovedResult", unproved) if unproved else _NO_RESULT
    record = _count_finished(record, observed, missing, now)
    record = _count_eviction(record, observed, policy)
    record = _give_up_waiting(record, observed, policy, now)
    if _lost_too_many_nodes(record, policy):
        record = record.model_copy(update={"on_demand_only": True})
    return _with_state(record, observed, policy)


def scheduling_deadline(job: ObservedJob, record: StageStatus, policy: StagePolicy) -> datetime | None:
    """Return until when the Job's pod may wait for a node; None: without end, or it has one."""
    limits = [seconds(policy.compute.scheduling_timeout)] if policy.compute.scheduling_timeout else []
    if _can_fall_back(job, record, policy):
        limits.append(int(policy.job.spot_wait))
    if job.unscheduled_since is None or not limits:
        return None
    return job.unscheduled_since + timedelta(seconds=min(limits))


def restarted(record: StageStatus, *, final: int = 0) -> StageStatus:
    """Return the record with its budgets unused and its attempt number kept: no Job name is used twice.

    ``final`` is the number of final failures to remember: it doubles the pause after the next one.
    """
    return StageStatus(name=record.name, attempt=record.attempt, counted=record.attempt, failures=Failures(final=final))


def stopped(record: StageStatus) -> StageStatus:
    """Return the record of a stage whose Job the operator itself deleted: that is no failure."""
    if record.state != "Running":
        return record
    return record.model_copy(update={"state": "Pending", "counted": record.attempt})


def _count_finished(record: StageStatus, jobs: list[ObservedJob], missing: JobFailure, now: datetime) -> StageStatus:
    """Account for failed Jobs, Jobs without a result, a running Job that vanished; a deleted one is no failure."""
    for job in jobs:
        if job.attempt <= record.counted or job.state == "Running":
            continue
        if job.state == "Deleting":
            record = record.model_copy(update={"counted": job.attempt})
        else:
            record = _failed(record, job.attempt, job.failure or missing, now)
    vanished = not any(job.attempt == record.attempt for job in jobs)
    if record.state == "Running" and vanished and record.attempt > record.counted:
        record = _failed(record, record.attempt, _VANISHED, now)
    return record


def _give_up_waiting(record: StageStatus, jobs: list[ObservedJob], policy: StagePolicy, now: datetime) -> StageStatus:
    """Close an attempt whose pod has not started and should not any more; its Job is deleted once that is recorded."""
    job = next((job for job in jobs if job.attempt == record.attempt and job.state == "Running"), None)
    if job is None or job.started or job.attempt <= record.counted:
        return record
    known = bool(policy.job.template_hash and job.template_hash)  # Jobs of 0.1.0 do not tell
    if known and policy.job.template_hash != job.template_hash:
        return record.model_copy(update={"counted": job.attempt})
    deadline = scheduling_deadline(job, record, policy)
    if deadline is None or now < deadline:
        return record
    if _can_fall_back(job, record, policy):
        return record.model_copy(update={"counted": job.attempt, "on_demand_only": True})
    sentence = job.waiting.message if job.waiting else "its pod has no node"
    message = f"no node within spec.compute.schedulingTimeout ({policy.compute.scheduling_timeout}): {sentence}"
    return _failed(record, job.attempt, JobFailure("Unschedulable", message, cause="Unschedulable"), now)


def _count_eviction(record: StageStatus, jobs: list[ObservedJob], policy: StagePolicy) -> StageStatus:
    """Account once for each time that Kueue evicted the attempt after its pod had started; the same Job waits again.

    Suspending a Job deletes its pod and is no failure of the Job: only what is recorded tells that there was one.
    """
    job = next((job for job in jobs if job.attempt == record.attempt and job.state == "Running"), None)
    if job is None or job.attempt <= record.counted:
        return record
    eviction, time = (None, None) if job.workload is None else (job.workload.eviction, job.workload.evicted_at)
    if eviction is None or time is None:
        return record.model_copy(update={"ran": record.ran or job.started})
    last = record.last_failure
    if not job.suspended or not record.ran or (last is not None and parse(last.time) >= time):
        return record
    failure = JobFailure(eviction.reason, eviction.message, cause="Preemption")
    preempted = _failed(record, job.attempt, failure, time).model_copy(update={"ran": False})
    if why_final(preempted, policy.retries, policy.job) is not None:
        return preempted
    return preempted.model_copy(update={"counted": record.counted})


def _can_fall_back(job: ObservedJob, record: StageStatus, policy: StagePolicy) -> bool:
    return policy.compute.capacity == job.capacity == "SpotThenOnDemand" and not record.on_demand_only


def _lost_too_many_nodes(record: StageStatus, policy: StagePolicy) -> bool:
    lost = record.failures.preemption
    return (
        policy.compute.capacity == record.capacity == "SpotThenOnDemand" and 0 < policy.retries.preemption <= 2 * lost
    )


def _failed(record: StageStatus, attempt: int, failure: JobFailure, now: datetime) -> StageStatus:
    kind = failure_class(failure)
    last = LastFailure(
        attempt=attempt,
        failure_class=kind,
        exit_code=failure.exit_code,
        reason=failure.reason,
        message=failure.message[:4096],
        time=render(now),
    )
    return record.model_copy(
        update={"counted": attempt, "failures": counted(record.failures, kind), "last_failure": last}
    )


def _with_state(record: StageStatus, jobs: list[ObservedJob], policy: StagePolicy) -> StageStatus:
    state: StageState = "Pending"
    failures = record.failures
    if any(job.attempt == record.attempt > record.counted and job.state == "Running" for job in jobs):
        state = "Running"
    elif why_final(record, policy.retries, policy.job) is not None:
        state = "Failed"
        if record.state != "Failed":
            failures = failures.model_copy(update={"final": failures.final + 1})
    return record.model_copy(update={"state": state, "failures": failures, "ran": record.ran and state == "Running"})
