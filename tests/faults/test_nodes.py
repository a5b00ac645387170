"""Jobs and nodes that go: a stage is tried again, and its result is the same."""

from contextlib import ExitStack
from typing import Any

import pytest
from tests.faults.node import Hold, stage_pods
from tests.faults.rules import Call, Rule

pytestmark = [pytest.mark.faults, pytest.mark.cluster, pytest.mark.slow]

STAGES = ("prepare", "train", "evaluate")


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("propagation", ["Foreground", "Background", "Orphan"])
def test_a_job_is_deleted_by_hand(scenario: Any, stage: str, propagation: str) -> None:
    lab, hold = scenario.lab(), Hold(stage)
    lab.node.plan = hold
    lab.apply("interrupted")
    lab.until_running("interrupted", stage)
    job = lab.jobs("interrupted", stage)[0]["metadata"]["name"]
    lab.client.delete("jobs", job, propagation=propagation)
    lab.seconds_until("the Job to go", lambda: lab.client.find("jobs", job) is None, 60)
    hold.release()
    scenario.took(lab.until_ready("interrupted"))
    assert lab.bucket.files(f"{lab.namespace}/interrupted")


@pytest.mark.parametrize("stage", STAGES)
def test_a_finished_job_is_deleted_by_hand_before_it_was_seen(scenario: Any, stage: str) -> None:
    lab, hold = scenario.lab(), Hold(stage)
    lab.node.plan = hold
    lab.apply("finished")
    lab.until_running("finished", stage)
    with lab.proxy.partition():
        hold.release()
        lab.seconds_until("the Job to finish", lambda: lab.has_finished("finished", stage), 30)
        lab.client.delete("jobs", lab.jobs("finished", stage)[0]["metadata"]["name"])
    scenario.took(lab.until_ready("finished"))
    assert lab.jobs("finished", stage) == [], "its manifest was there, so nothing had to run again"


@pytest.mark.parametrize("stage", STAGES)
def test_a_job_comes_and_goes_before_a_status_names_it(scenario: Any, stage: str) -> None:
    """The operator dies at the moment in which the Job exists, and is cut off until it was deleted, finished."""
    lab = scenario.lab()

    def end() -> None:
        partition.enter_context(lab.proxy.partition())
        lab.operator.kill()

    with ExitStack() as partition:
        cut_off = Call(end)
        creation = Rule(cut_off, verbs={"create"}, resources={"jobs"}, where=lambda one: f"-{stage}-" in one.name)
        with lab.proxy.faults(creation):
            lab.apply("unnamed")
            lab.seconds_until("the Job to finish", lambda: lab.has_finished("unnamed", stage), 90)
        lab.client.delete("jobs", lab.jobs("unnamed", stage)[0]["metadata"]["name"])
    assert creation.applied == 1
    scenario.took(lab.until_ready("unnamed"))
    assert lab.jobs("unnamed", stage) == [], "its result was there, so nothing had to run again"


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("times", [1, 3])
def test_a_node_is_gone(scenario: Any, stage: str, times: int) -> None:
    lab, hold = scenario.lab(), Hold(stage)
    lab.node.plan = hold
    lab.apply("preempted")
    for _ in range(times):
        lab.until_running("preempted", stage, seconds=120)  # the Job controller backs off
        lab.node.lose(next(iter(stage_pods(lab.client, "preempted"))))
    hold.release()
    scenario.took(lab.until_ready("preempted", seconds=180))
    stages = {one["name"]: one for one in lab.status("preempted")["stages"]}
    assert not stages[stage].get("failures", {}).get("transient", 0), "a lost node is no failure of the stage"
