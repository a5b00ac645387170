"""An edit and another one back: what was done for the first input is gone on with, and no Job name is used twice."""

from datetime import UTC, datetime
from typing import Any

import pytest
from tests.operator.reconcile.scenes import DIGEST, HASH, a_voice

from voice_operator.api.voice_status import (
    Failures,
    LastFailure,
    ObservedDataset,
    StageName,
    StageStatus,
    TrainedInput,
    VoiceModelStatus,
)
from voice_operator.reconcile.decide import Decision, decide
from voice_operator.reconcile.effects import DeleteJob, StartJob
from voice_operator.reconcile.left_inputs import KEPT_SECONDS, seconds_until_one_goes
from voice_operator.reconcile.observed import JobFailure, Observed, ObservedJob, StageOutput
from voice_operator.reconcile.status import status_of

NOW = datetime(2026, 11, 23, 6, 7, tzinfo=UTC)
OTHER = "0" * 64
DONE = StageOutput(started_at="2026-11-23T06:00:00Z", completed_at="2026-11-23T06:01:00Z")
REFUSED = LastFailure(
    attempt=1, failure_class="Permanent", exit_code=65, reason="TooLittleSpeech", time="2026-11-23T06:06:00Z"
)


def stage(name: StageName, state: Any, attempt: int = 1, **about: Any) -> StageStatus:
    counted = attempt - 1 if state == "Running" else attempt
    return StageStatus(**({"name": name, "state": state, "attempt": attempt, "counted": counted} | about))


def passed(status: VoiceModelStatus, input_hash: str, **found: Any) -> tuple[Decision, VoiceModelStatus]:
    dataset = ObservedDataset(uri="s3://voices/alice", fingerprint=DIGEST, generation=3)
    observed = Observed(a_voice(status), dataset=dataset, input_hash=input_hash, **found)
    decision = decide(observed, NOW)
    return decision, status_of(decision)


def away_and_back(*stages: StageStatus, **found: Any) -> tuple[Decision, VoiceModelStatus]:
    """The pass in which the first input is the present one again."""
    status = VoiceModelStatus(input_hash=HASH, inputs_of="uid", inputs=(TrainedInput(hash=HASH),), stages=stages)
    _, status = passed(status, OTHER)
    assert [one.hash for one in status.inputs if one.left] == [HASH]
    decision, status = passed(status, HASH, **found)
    assert [one.hash for one in status.inputs if one.left] == [OTHER]
    return decision, status


@pytest.mark.parametrize(
    ("stages", "found", "expected"),
    [
        pytest.param(
            (stage("prepare", "Running"),), {}, StartJob("prepare", 2), id="an attempt that was stopped is no failure"
        ),
        pytest.param(
            (stage("prepare", "Succeeded"), stage("train", "Running", 3)),
            {"outputs": {"prepare": DONE}},
            StartJob("train", 4),
            id="what was done is not repeated",
        ),
        pytest.param(
            (stage("prepare", "Running"),),
            {"outputs": {"prepare": DONE}},
            StartJob("train", 1),
            id="nor what was done after the last look",
        ),
        pytest.param(
            (stage("prepare", "Succeeded"),), {}, StartJob("prepare", 2), id="unless what it left is not there any more"
        ),
        pytest.param(
            (stage("prepare", "Failed", last_failure=REFUSED),),
            {},
            StartJob("prepare", 2),
            id="a failure starts afresh",
        ),
        pytest.param(
            (stage("prepare", "Succeeded"), stage("train", "Succeeded"), stage("evaluate", "Succeeded")),
            {"outputs": {"prepare": DONE, "train": DONE}},
            StartJob("evaluate", 2),
            id="an evaluation by other gates",
        ),
    ],
)
def test_an_edit_back_goes_on(stages: tuple[StageStatus, ...], found: dict[str, Any], expected: StartJob) -> None:
    decision, status = away_and_back(*stages, **found)
    assert decision.action.effects == (expected,)
    assert all(one.failures == Failures() for one in status.stages)


def test_a_failed_job_that_is_still_there_is_counted_once() -> None:
    failed = ObservedJob(
        "alice-3fa9c2d1-prepare-1", "prepare", 1, HASH, state="Failed", failure=JobFailure("TooLittleSpeech", "", 65)
    )
    decision, _ = away_and_back(stage("prepare", "Failed", last_failure=REFUSED), jobs=(failed,))
    assert decision.action.effects == (StartJob("prepare", 2),)


def test_a_job_that_runs_on_is_taken_up_and_one_of_the_other_input_goes() -> None:
    running = ObservedJob("alice-3fa9c2d1-prepare-1", "prepare", 1, HASH)
    decision, status = away_and_back(stage("prepare", "Running"), jobs=(running,))
    assert (decision.action.effects, status.stages[0].state, status.stages[0].attempt) == ((), "Running", 1)
    other = ObservedJob("alice-00000000-prepare-1", "prepare", 1, OTHER)
    decision, _ = away_and_back(stage("prepare", "Running"), jobs=(running, other))
    assert decision.action.effects == (DeleteJob("alice-00000000-prepare-1"),)


def test_the_next_pass_comes_when_the_hour_is_over() -> None:
    _, status = away_and_back(stage("prepare", "Running"))
    assert seconds_until_one_goes(status.inputs, NOW) == KEPT_SECONDS
    assert seconds_until_one_goes((), NOW) is None
