"""Two replicas and one Lease: one of them writes, the other one waits, and never do both."""

import time
from itertools import pairwise
from typing import Any

import pytest
from tests.faults.lab import REVOCATION_SECONDS, Lab
from tests.faults.node import Hold
from tests.faults.replica import Replica
from tests.faults.rules import LEASES, Cut, Rule

pytestmark = [pytest.mark.faults, pytest.mark.cluster, pytest.mark.slow]

LEASE = "voice-operator"
LEASE_SECONDS = 15
TAKEOVER_SECONDS = LEASE_SECONDS + 15  # it is tried every few seconds, on a busy machine


def test_there_is_one_lease(scenario: Any) -> None:
    lab = scenario.lab()
    lab.apply("alone")
    scenario.took(lab.until_ready("alone"))
    spec = lab.client.get("leases", LEASE)["spec"]
    assert spec["leaseDurationSeconds"] == LEASE_SECONDS
    assert spec["holderIdentity"]


def test_the_leader_is_killed_and_the_other_one_takes_over(scenario: Any) -> None:
    lab, hold = scenario.lab(), Hold("train")
    lab.add_replica("two")
    lab.apply("served")
    lab.until_ready("served")
    lab.node.plan = hold
    lab.apply("trained")
    lab.until_running("trained", "train")
    leader, other = leader_of(lab)
    leader.kill_for_good()
    lab.revoke("served")
    killed = time.monotonic()
    scenario.took(lab.until_gone("served"))
    lab.seconds_until("the other one to write", lambda: other.proxy.writes(since=killed), TAKEOVER_SECONDS)
    hold.release()
    scenario.took(lab.until_ready("trained"))
    assert switches(lab) == 1


def test_a_leader_that_cannot_renew_its_lease_writes_nothing_more(scenario: Any) -> None:
    lab = scenario.lab()
    lab.add_replica("two")
    lab.apply("first")
    lab.until_ready("first")
    leader, other = leader_of(lab)
    with leader.proxy.faults(Rule(Cut(), resources=(LEASES,))):
        lost = time.monotonic()
        for minutes in range(60, 60 + 2 * LEASE_SECONDS):
            lab.edit("first", compute={"timeout": f"{minutes}m"})  # there is always something to write
            time.sleep(0.5)
        lab.apply("second")
        scenario.took(lab.until_ready("second"))
    assert other.proxy.writes(since=lost)
    lab.revoke("first")
    scenario.took(lab.until_gone("first"))
    assert switches(lab) == 1


def test_a_leader_that_is_cut_off_and_returns_writes_nothing_more(scenario: Any) -> None:
    lab = scenario.lab()
    lab.add_replica("two")
    lab.apply("first")
    lab.until_ready("first")
    leader, other = leader_of(lab)
    with leader.proxy.partition():
        lab.revoke("first")
        lab.seconds_until("the other one to write", other.proxy.writes, TAKEOVER_SECONDS)
    lab.apply("second")
    scenario.took(lab.until_ready("second"))
    assert not lab.lists("first")
    assert switches(lab) == 1


def test_both_are_restarted_in_turn_as_by_a_rolling_update(scenario: Any) -> None:
    lab = scenario.lab()
    lab.add_replica("two")
    lab.apply("first")
    lab.until_ready("first")
    leader, other = leader_of(lab)
    for replica in (other, leader):
        replica.restart()
    lab.revoke("first")
    scenario.took(lab.until_gone("first"))
    assert switches(lab) <= 2


def test_a_clock_an_hour_ahead_takes_no_lease(scenario: Any) -> None:
    lab = scenario.lab()
    ahead = lab.add_replica("two", clock=3600)
    for voice in ("first", "second"):
        lab.apply(voice)
        scenario.took(lab.until_ready(voice))
    time.sleep(2 * LEASE_SECONDS)
    assert ahead.proxy.writes() == []
    lab.operator.kill_for_good()
    lab.revoke("first")
    scenario.took(lab.until_gone("first", seconds=REVOCATION_SECONDS))
    assert ahead.proxy.writes()


def leader_of(lab: Lab) -> tuple[Replica, Replica]:
    """Return who has written, and who has not."""
    leader, other = sorted(lab.replicas, key=lambda replica: -len(replica.proxy.writes()))
    assert other.proxy.writes() == [], "both wrote"
    return leader, other


def switches(lab: Lab) -> int:
    """Return how often the writer changed: with two replicas and one failure once, or both wrote in turn."""
    writes = sorted((entry.at, replica.name) for replica in lab.replicas for entry in replica.proxy.writes())
    writers = [name for _, name in writes]
    return sum(before != after for before, after in pairwise(writers))
