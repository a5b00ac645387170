"""Each attempt that ended is counted once, by what became of it."""

from typing import Any

import pytest

from voice_operator.api.voice_status import LastFailure, StageStatus, VoiceModelStatus
from voice_operator.reconcile.outcomes import Outcome, outcomes_between

BEGUN, ENDED = "2026-11-23T06:00:00Z", "2026-11-23T06:01:30Z"
FAILURE = LastFailure(attempt=1, failure_class="OutOfMemory", reason="GpuOutOfMemory", time=ENDED)


def status(**stage: Any) -> VoiceModelStatus:
    stages = (StageStatus(name="train", started_at=BEGUN, **stage),) if stage else ()
    return VoiceModelStatus(input_hash="a" * 64, stages=stages)


SUCCEEDED = status(state="Succeeded", attempt=2, completed_at=ENDED)
FAILED = status(state="Pending", attempt=1, last_failure=FAILURE)


@pytest.mark.parametrize(
    ("old", "new", "outcomes"),
    [
        pytest.param(status(), status(state="Running", attempt=1), [], id="none while it runs"),
        pytest.param(
            status(state="Running", attempt=2), SUCCEEDED, [Outcome("train", "Succeeded", 90)], id="a success"
        ),
        pytest.param(SUCCEEDED, SUCCEEDED, [], id="a success only once"),
        pytest.param(status(state="Running", attempt=1), FAILED, [Outcome("train", "OutOfMemory", 90)], id="a failure"),
        pytest.param(FAILED, FAILED, [], id="a failure only once"),
        pytest.param(
            status(),
            status(state="Succeeded", attempt=0, completed_at=ENDED),
            [],
            id="no attempt: it was there already",
        ),
    ],
)
def test_outcomes(old: VoiceModelStatus, new: VoiceModelStatus, outcomes: list[Outcome]) -> None:
    assert list(outcomes_between(old, new)) == outcomes
