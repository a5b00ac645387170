"""A clock that is an hour off, and is put right."""

import datetime as dt
import json
from typing import Any

import pytest
from tests.faults.life import Life, live_like
from tests.faults.node import Outcome, StagePod

pytestmark = [pytest.mark.faults, pytest.mark.cluster, pytest.mark.slow]

HOUR = 3600.0
TRANSIENT_EXIT = 75


@pytest.mark.parametrize("shift", [HOUR, -HOUR], ids=["ahead", "behind"])
def test_a_life_under_a_clock_that_is_an_hour_off(scenario: Any, faultless: Life, shift: float) -> None:
    # In a folder: an S3 server refuses requests whose time is a quarter of an hour off, and says so.
    lab = scenario.lab(storage="file")
    lab.operator.set_clock(shift)
    lab.operator.restart()
    local = {station: snapshot_in(lab, snapshot) for station, snapshot in faultless.items()}
    scenario.took(live_like(local, lab, "shiftedvoice"))


def snapshot_in(lab: Any, snapshot: Any) -> Any:
    """The same state, in a folder instead of a bucket."""
    text = json.dumps(snapshot).replace("s3://voices/NAMESPACE", lab.bucket.uri.replace(lab.namespace, "NAMESPACE"))
    return json.loads(text)


@pytest.mark.parametrize("shift", [HOUR, -HOUR], ids=["ahead", "behind"])
def test_a_clock_is_put_right_between_two_attempts(scenario: Any, shift: float) -> None:
    lab, failed = scenario.lab(storage="file"), set[str]()

    def fail_once(pod: StagePod) -> Outcome:
        if pod.stage in failed:
            return Outcome()
        failed.add(pod.stage)
        return Outcome(TRANSIENT_EXIT, "no answer from the object store")

    lab.node.plan = fail_once
    lab.operator.set_clock(shift)
    lab.operator.restart()
    lab.apply("retried")
    lab.seconds_until("a failure", lambda: lab.condition("retried", "Ready")["reason"] == "Retrying", 60)
    lab.operator.set_clock(0)
    scenario.took(lab.until_ready("retried", seconds=180))


def test_a_consent_ends_at_midnight(scenario: Any) -> None:
    """The store refuses requests of that clock, and is not needed."""
    lab = scenario.lab(resyncSeconds=20)
    today = dt.datetime.now(dt.UTC).date().isoformat()
    consent = {"holder": "Alice A.", "statement": "I agree for today.", "expires": today}
    lab.apply("today", consent=consent)
    lab.until_ready("today")
    assert today in str(lab.listed()), "the list carries the day, so that pods obey it while the operator is away"
    lab.operator.set_clock(24 * HOUR)
    scenario.took(lab.until_gone("today"))
