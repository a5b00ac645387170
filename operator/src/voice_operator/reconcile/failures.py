"""Failure classes: which failures count against which budget, which are final, and when a stage is tried again."""

from datetime import datetime, timedelta
from fractions import Fraction

from voice_operator.api.voice_model import Retries
from voice_operator.api.voice_status import FailureClass, Failures, StageStatus
from voice_operator.reconcile.observed import JobFailure, JobPolicy
from voice_operator.reconcile.times import CLOCK_TOLERANCE, parse

USAGE_EXIT = 64  # operator and trainer do not fit: nothing outside the spec and the installation can mend it
PERMANENT_EXITS = (USAGE_EXIT, 65, 78)  # usage, bad data, consent or configuration: the same input fails again
OUT_OF_MEMORY_EXIT = 90
TRANSIENT_EXIT = 75

MEMORY_GROWTH = Fraction(3, 2)
BACKOFF_SECONDS = 10.0  # between attempts within a budget; doubles
MAX_BACKOFF_SECONDS = 300.0
RESET_SECONDS = 600.0  # from a final failure until the stage starts afresh; doubles
MAX_RESET_SECONDS = 86400.0

# Class -> the counter in StageStatus.failures, and the budget in spec.retries.
_BUDGETS: dict[FailureClass, tuple[str, str]] = {
    "OutOfMemory": ("out_of_memory", "out_of_memory"),
    "OutOfHostMemory": ("out_of_host_memory", "out_of_memory"),
    "Transient": ("transient", "transient"),
    "Preemption": ("preemption", "preemption"),
}


def failure_class(failure: JobFailure) -> FailureClass:
    """Classify a failure by its remedy; an exit code that is final stays so, however the pod ended."""
    if failure.exit_code in PERMANENT_EXITS:
        return "Permanent"
    if failure.cause is not None:
        return failure.cause
    return "OutOfMemory" if failure.exit_code == OUT_OF_MEMORY_EXIT else "Transient"


def counted(failures: Failures, kind: FailureClass) -> Failures:
    """Return the counters with one more failure of a class; classes without a budget have none."""
    if kind not in _BUDGETS:
        return failures
    counter, _ = _BUDGETS[kind]
    return failures.model_copy(update={counter: getattr(failures, counter) + 1})


def why_final(record: StageStatus, retries: Retries, policy: JobPolicy) -> str | None:
    """Return why the stage is not tried again within its budgets, as the end of a sentence; None: it is."""
    failure = record.last_failure
    if failure is None:
        return None
    kind = failure.failure_class
    if kind not in _BUDGETS:
        return ""
    if kind == "OutOfHostMemory" and not _memory_can_grow(record.failures, policy):
        return f"; raise stages.{record.name}.maxMemory in the chart's values"
    for counter, budget in _BUDGETS.values():
        allowed = getattr(retries, budget)
        if getattr(record.failures, counter) > allowed:
            field = Retries.model_fields[budget].alias
            return f"; spec.retries.{field} ({allowed}) is used up"
    return None


def retry_at(record: StageStatus, now: datetime) -> datetime | None:
    """Return when the next attempt within the budgets may start; None: at once."""
    failure = record.last_failure
    if failure is None or failure.failure_class not in {"Transient", "Preemption"}:
        return None
    counter, _ = _BUDGETS[failure.failure_class]
    pause = min(BACKOFF_SECONDS * 2 ** max(getattr(record.failures, counter) - 1, 0), MAX_BACKOFF_SECONDS)
    return _after(failure.time, pause, now)


def reset_at(record: StageStatus, now: datetime) -> datetime | None:
    """Return when a stage that failed for good starts afresh by itself; None: never.

    The cause may lie outside the spec: a Secret, a missing clip, a full pool of nodes. What failed before this was
    counted (0.1.0) waits for a person: an upgrade starts nothing.
    """
    failure = record.last_failure
    if record.state != "Failed" or failure is None or failure.exit_code == USAGE_EXIT or not record.failures.final:
        return None
    pause = min(RESET_SECONDS * 2 ** min(record.failures.final - 1, 30), MAX_RESET_SECONDS)
    return _after(failure.time, pause, now)


def _after(time: str, pause: float, now: datetime) -> datetime:
    """Return when a pause is over; now, where it began in the future: then the clock was ahead, and was put right."""
    began = parse(time)
    return now if began > now + CLOCK_TOLERANCE else began + timedelta(seconds=pause)


def batch_size_divisor(record: StageStatus) -> int:
    """Return by how much the next attempt's batch is divided: it halves each time the GPU's memory ran out."""
    return int(2**record.failures.out_of_memory)


def memory_factor(record: StageStatus, policy: JobPolicy) -> Fraction:
    """Return by how much the next attempt's memory exceeds the configured one."""
    factor = MEMORY_GROWTH**record.failures.out_of_host_memory
    return factor if policy.max_memory_factor is None else min(factor, policy.max_memory_factor)


def _memory_can_grow(failures: Failures, policy: JobPolicy) -> bool:
    """Return whether the attempt that ran out of memory had less than the most there is."""
    bound = policy.max_memory_factor
    return bound is None or MEMORY_GROWTH ** (failures.out_of_host_memory - 1) < bound
