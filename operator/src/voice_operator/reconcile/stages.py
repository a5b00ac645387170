"""The state machine of a stage: the recorded status advanced by observed Jobs; each failure counts once, by class."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from voice_operator.api.voice_model import Retries
from voice_operator.api.voice_status import FailureClass, Failures, LastFailure, StageName, StageState, StageStatus
from voice_operator.reconcile.observed import JobFailure, ObservedJob, StageOutput
from voice_operator.reconcile.times import parse, render

PERMANENT_EXITS = (64, 65, 78)  # usage, bad data, consent or configuration: the same input fails again
OUT_OF_MEMORY_EXIT = 90
TRANSIENT_EXIT = 75

BACKOFF_SECONDS = 10.0
MAX_BACKOFF_SECONDS = 300.0

_VANISHED = JobFailure("JobVanished", "the Job is gone and left no result")
_NO_RESULT = JobFailure("ResultMissing", "the Job succeeded, but its manifest is not in the object store")


def advance(
    stage: StageName,
    *,
    recorded: StageStatus | None,
    jobs: Iterable[ObservedJob],
    output: StageOutput | None,
    retries: Retries,
    now: datetime,
) -> StageStatus:
    """Return the stage's new record. ``jobs`` are those of this stage and input hash."""
    record = recorded or StageStatus(name=stage)
    if record.state == "Succeeded":
        return record
    observed = sorted(jobs, key=lambda job: job.attempt)
    if observed and observed[-1].attempt >= record.attempt:
        newest = observed[-1]
        record = record.model_copy(
            update={"attempt": newest.attempt, "job": newest.name, "started_at": newest.started_at or record.started_at}
        )
    if output is not None:
        return record.model_copy(
            update={
                "state": "Succeeded",
                "counted": record.attempt,
                "started_at": output.started_at,
                "completed_at": output.completed_at,
            }
        )
    record = _count_failures(record, observed, now)
    return record.model_copy(update={"state": _state(record, observed, retries)})


def retry_at(record: StageStatus) -> datetime | None:
    """Return when the next attempt may start; None: at once."""
    failure = record.last_failure
    if failure is None or failure.failure_class != "Transient":
        return None
    pause = min(BACKOFF_SECONDS * 2 ** max(record.failures.transient - 1, 0), MAX_BACKOFF_SECONDS)
    return parse(failure.time) + timedelta(seconds=pause)


def batch_size_divisor(record: StageStatus) -> int:
    """Return by how much the next attempt's batch is divided: it halves each time the GPU's memory ran out."""
    return int(2**record.failures.out_of_memory)


def restarted(record: StageStatus) -> StageStatus:
    """Return the record with its failures reset and its attempt number kept: no Job name is used twice."""
    return StageStatus(name=record.name, attempt=record.attempt, counted=record.attempt)


def stopped(record: StageStatus) -> StageStatus:
    """Return the record of a stage whose Job the operator itself deleted: that is no failure."""
    if record.state != "Running":
        return record
    return record.model_copy(update={"state": "Pending", "counted": record.attempt})


def failure_class(failure: JobFailure) -> FailureClass:
    """Classify a failure by its remedy: none, a smaller batch, or another attempt."""
    if failure.deadline:
        return "DeadlineExceeded"
    if failure.exit_code in PERMANENT_EXITS:
        return "Permanent"
    return "OutOfMemory" if failure.exit_code == OUT_OF_MEMORY_EXIT else "Transient"


def _count_failures(record: StageStatus, jobs: list[ObservedJob], now: datetime) -> StageStatus:
    """Count what was not yet counted: failed Jobs, Jobs without a result, and a running Job that vanished."""
    for job in jobs:
        if job.attempt > record.counted and job.state != "Running":
            record = _counted(record, job.attempt, job.failure or _NO_RESULT, now)
    vanished = not any(job.attempt == record.attempt for job in jobs)
    if record.state == "Running" and vanished and record.attempt > record.counted:
        record = _counted(record, record.attempt, _VANISHED, now)
    return record


def _counted(record: StageStatus, attempt: int, failure: JobFailure, now: datetime) -> StageStatus:
    kind = failure_class(failure)
    failures = record.failures
    if kind == "OutOfMemory":
        failures = Failures(out_of_memory=failures.out_of_memory + 1, transient=failures.transient)
    elif kind == "Transient":
        failures = Failures(out_of_memory=failures.out_of_memory, transient=failures.transient + 1)
    last = LastFailure(
        attempt=attempt,
        failure_class=kind,
        exit_code=failure.exit_code,
        reason=failure.reason,
        message=failure.message[:4096],
        time=render(now),
    )
    return record.model_copy(update={"counted": attempt, "failures": failures, "last_failure": last})


def _state(record: StageStatus, jobs: list[ObservedJob], retries: Retries) -> StageState:
    if any(job.attempt == record.attempt and job.state == "Running" for job in jobs):
        return "Running"
    failure = record.last_failure
    if failure is None:
        return "Pending"
    exhausted = record.failures.transient > retries.transient or record.failures.out_of_memory > retries.out_of_memory
    return "Failed" if exhausted or failure.failure_class in {"Permanent", "DeadlineExceeded"} else "Pending"
