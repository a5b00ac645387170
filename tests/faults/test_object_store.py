"""The object store hangs, cuts, is slow or too busy: what needs it waits, and a revocation does not need it."""

import time
from typing import Any

import pytest
from tests.faults.lab import Lab
from tests.faults.node import Hold
from tests.faults.s3_proxy import Mode

AUDIT_SECONDS = 330.0  # MAX_DELAY_SECONDS of the audit log, and a write
pytestmark = [pytest.mark.faults, pytest.mark.cluster, pytest.mark.slow]

OBSERVED = [f"observed{number}" for number in range(4)]  # as many as the operator has workers
REVOCATION_SECONDS = 5.0
BUSY_SECONDS = 20.0  # until every worker has met the store


def a_lab_that_is_busy_with_the_store(scenario: Any) -> tuple[Lab, Hold]:
    """A served voice, and four others whose running stages are observed in the store."""
    lab, hold = scenario.lab(), Hold("train")
    lab.apply("served")
    lab.until_ready("served")
    lab.node.plan = hold
    for voice in OBSERVED:
        lab.apply(voice)
    for voice in OBSERVED:
        lab.until_running(voice, "train")
    return lab, hold


@pytest.mark.parametrize("mode", ["hang", "cut", "slow", "busy"])
def test_a_revocation_does_not_wait_for_the_store(scenario: Any, mode: Mode) -> None:
    lab, hold = a_lab_that_is_busy_with_the_store(scenario)
    with lab.s3.mode(mode):
        time.sleep(BUSY_SECONDS)
        lab.revoke("served")
        scenario.took(lab.until_gone("served", seconds=REVOCATION_SECONDS))
        hold.release()
    recovered = lab.seconds_until_each(OBSERVED, lambda: lab.are_ready(OBSERVED), 120)
    assert recovered


def test_the_store_is_away_for_long(scenario: Any) -> None:
    lab, hold = a_lab_that_is_busy_with_the_store(scenario)
    seconds = scenario.repetitions.away_seconds
    with lab.s3.mode("hang"):
        started = time.monotonic()
        lab.apply("new", dataset={"uri": lab.dataset("listed")})  # whose recordings must be listed
        time.sleep(seconds / 2)
        lab.revoke("served")
        scenario.took(lab.until_gone("served", seconds=REVOCATION_SECONDS))
        hold.release()
        lab.delete(OBSERVED[0])
        scenario.took(lab.seconds_until("its Jobs to go", lambda: not lab.jobs(OBSERVED[0]), 60))
        time.sleep(max(0.0, seconds - (time.monotonic() - started)))
    for each in lab.seconds_until_each(OBSERVED[1:], lambda: lab.are_ready(OBSERVED[1:]), 180).values():
        scenario.took(each)
    assert lab.condition("new", "Ready")["reason"]
    scenario.took(lab.seconds_until("the audit log to have every act", lambda: not unrecorded(lab), AUDIT_SECONDS))


def unrecorded(lab: Any) -> list[str]:
    """The voices whose acts wait for the log, which is tried again after a pause that doubles."""
    found = ((item["metadata"]["name"], item.get("status") or {}) for item in lab.client.objects("voicemodels"))
    return [name for name, status in found if (status.get("audit") or {}).get("pending")]


def test_nothing_served_changes_while_the_store_is_away(scenario: Any) -> None:
    lab = scenario.lab(resyncSeconds=5)
    lab.apply("served")
    lab.until_ready("served")
    lab.until_quiet()
    listed, status = lab.listed(), lab.status("served")
    with lab.s3.mode("hang"):
        lab.operator.kill()
        lab.operator.wait_until_ready()
        time.sleep(BUSY_SECONDS)
        scenario.took(BUSY_SECONDS)
        assert lab.listed() == listed
        assert lab.status("served")["activeRevision"] == status["activeRevision"]
    assert lab.is_ready("served")
