"""Classes, budgets and pauses of failures."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest

from voice_operator.api.voice_model import Retries
from voice_operator.api.voice_status import FailureClass, Failures, LastFailure, StageStatus
from voice_operator.reconcile.failures import failure_class, memory_factor, reset_at, retry_at, why_final
from voice_operator.reconcile.observed import JobFailure, JobPolicy

NOW = datetime(2026, 11, 23, 6, 7, tzinfo=UTC)


def a_stage(kind: FailureClass, exit_code: int | None = None, state: Any = "Pending", **failures: int) -> StageStatus:
    last = LastFailure(attempt=1, failure_class=kind, exit_code=exit_code, reason="Reason", time="2026-11-23T06:07:00Z")
    return StageStatus(name="train", state=state, attempt=1, failures=Failures(**failures), last_failure=last)


@pytest.mark.parametrize(
    ("exit_code", "cause", "kind"),
    [
        (64, None, "Permanent"),
        (65, None, "Permanent"),
        (78, None, "Permanent"),
        (90, None, "OutOfMemory"),
        (75, None, "Transient"),
        (1, None, "Transient"),
        (137, None, "Transient"),
        (None, None, "Transient"),
        (137, "OutOfHostMemory", "OutOfHostMemory"),
        (143, "Preemption", "Preemption"),
        (65, "Preemption", "Permanent"),
        (None, "Unschedulable", "Unschedulable"),
        (143, "DeadlineExceeded", "DeadlineExceeded"),
    ],
)
def test_class(exit_code: int | None, cause: FailureClass | None, kind: str) -> None:
    assert failure_class(JobFailure("Reason", "", exit_code, cause)) == kind


@pytest.mark.parametrize(
    ("stage", "why"),
    [
        pytest.param(a_stage("Permanent"), "", id="a permanent failure, at once"),
        pytest.param(a_stage("Transient", transient=2), None, id="not within the budget"),
        pytest.param(a_stage("Transient", transient=3), "; spec.retries.transient (2) is used up", id="one more"),
        pytest.param(
            a_stage("Preemption", preemption=21), "; spec.retries.preemption (20) is used up", id="of every class"
        ),
        pytest.param(a_stage("OutOfMemory", out_of_memory=2, out_of_host_memory=2), None, id="each counted apart"),
        pytest.param(
            a_stage("OutOfHostMemory", out_of_host_memory=3),
            "; spec.retries.outOfMemory (2) is used up",
            id="also those that share a budget",
        ),
        pytest.param(StageStatus(name="train"), None, id="not without a failure"),
    ],
)
def test_final_is(stage: StageStatus, why: str | None) -> None:
    assert why_final(stage, Retries(), JobPolicy()) == why


@pytest.mark.parametrize(
    ("count", "bound", "factor", "final"),
    [
        (0, 2, Fraction(1), False),
        (1, 2, Fraction(3, 2), False),
        (2, 2, Fraction(2), False),
        (3, 2, Fraction(2), True),
        (2, Fraction(3, 2), Fraction(3, 2), True),
        (3, None, Fraction(27, 8), False),
    ],
)
def test_memory_grows_until_its_bound(count: int, bound: Fraction | None, factor: Fraction, final: bool) -> None:
    stage = a_stage("OutOfHostMemory", out_of_host_memory=count)
    policy = JobPolicy(max_memory_factor=bound)
    assert memory_factor(stage, policy) == factor
    if count:
        assert (why_final(stage, Retries(out_of_memory=8), policy) is not None) is final


@pytest.mark.parametrize(
    ("stage", "seconds"),
    [
        pytest.param(a_stage("Transient", transient=1), 10, id="ten seconds"),
        pytest.param(a_stage("Preemption", preemption=3, transient=1), 40, id="doubling with its own class"),
        pytest.param(a_stage("Preemption", preemption=20), 300, id="five minutes at most"),
        pytest.param(a_stage("OutOfMemory", out_of_memory=1), None, id="no time where the next attempt differs"),
    ],
)
def test_between_attempts_pass(stage: StageStatus, seconds: int | None) -> None:
    assert retry_at(stage, NOW) == (None if seconds is None else NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("stage", "seconds"),
    [
        pytest.param(a_stage("Permanent", 78, "Failed", final=1), 600, id="after ten minutes"),
        pytest.param(a_stage("Transient", 75, "Failed", final=3), 2400, id="doubling"),
        pytest.param(a_stage("Permanent", 65, "Failed", final=400), 86400, id="after a day at most"),
        pytest.param(a_stage("Permanent", 65, "Failed"), None, id="never by itself where an earlier version gave up"),
        pytest.param(a_stage("Permanent", 64, "Failed", final=1), None, id="never after wrong usage"),
        pytest.param(a_stage("Transient", 75), None, id="not while it is tried again anyway"),
    ],
)
def test_a_failed_stage_starts_afresh(stage: StageStatus, seconds: int | None) -> None:
    assert reset_at(stage, NOW) == (None if seconds is None else NOW + timedelta(seconds=seconds))


def test_a_pause_that_began_in_the_future_is_over() -> None:
    """The clock was ahead when the attempt failed, and was put right."""
    then = NOW - timedelta(hours=1)
    assert retry_at(a_stage("Transient", transient=1), then) == then
    assert reset_at(a_stage("Permanent", 78, "Failed", final=1), then) == then
    just_now = NOW - timedelta(seconds=5)
    assert retry_at(a_stage("Transient", transient=1), just_now) == NOW + timedelta(seconds=10)
