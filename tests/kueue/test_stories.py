"""What a voice tells of its Job in Kueue's queue, and what the operator does about it: one story each."""

import re
import time
from collections.abc import Callable, Iterator

import pytest
from tests.faults.node import Hold
from tests.kueue.queues import cluster_queue, local_queue, priority_class
from tests.kueue.team import STORY_SECONDS, Team
from tests.support.kueue import Kueue

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.kueue]

QUEUE = {"queueName": "gpu"}
URGENT = QUEUE | {"priorityClass": "urgent"}
WITHIN = {"withinClusterQueue": "LowerPriority"}


@pytest.fixture(scope="module")
def installed(kueue: Kueue) -> Iterator[Kueue]:
    """Kueue at work, with a class that goes before the others."""
    kueue.start()
    kueue.apply(priority_class("urgent", 1000))
    yield kueue
    kueue.stop()


@pytest.fixture
def team(installed: Kueue, make_team: Callable[[str], Team], request: pytest.FixtureRequest) -> Team:
    """A namespace whose LocalQueue leads to one GPU; its trainings run until they are let go."""
    name = re.sub("[^a-z]+", "-", request.node.name.removeprefix("test_"))[:40].strip("-")
    installed.apply(cluster_queue(name, gpus=1, preemption=WITHIN))
    team = make_team(name)
    installed.apply(local_queue(name, "gpu", name))
    team.node.plan = Hold("train")
    return team


def test_an_operator_that_is_told_of_kueue_works_before_it_is_there(early: str) -> None:
    assert "Evaluated" in early
    assert "kueue" not in early.lower(), early


def test_waits_is_admitted_and_preempted(installed: Kueue, team: Team) -> None:
    team.apply("first", compute=QUEUE)
    job = team.until_running("first", "train")
    team.apply("second", compute=QUEUE)
    message = team.until("second", "Queued", "train-1: number 1 in LocalQueue gpu: couldn't assign flavors")
    assert "nvidia.com/gpu" in message
    shown = installed.run("get", "voices", "-n", team.namespace, "-o", "wide").stdout
    assert [line.split()[-1] for line in shown.splitlines()[1:]] == ["Training", "Queued"]

    team.apply("urgent", compute=URGENT)
    team.wait("the preemption", lambda: team.stage("first", "train")["failures"].get("preemption"))
    stage = team.stage("first", "train")
    assert stage["lastFailure"]["reason"] == "PreemptedByKueue"
    assert "Kueue evicted it (Preempted): Preempted to accommodate a workload" in stage["lastFailure"]["message"]
    assert stage["failures"] == {"preemption": 1} | {name: 0 for name in stage["failures"] if name != "preemption"}, (
        stage
    )
    team.until_running("urgent", "train")
    # The same Job waits again, and goes before those that came after it.
    team.until("first", "PreemptedByKueue", "it waits again, number 1 in LocalQueue gpu")
    assert team.job("first", "train")["metadata"]["name"] == job
    assert "PreemptedByKueue" in {one["reason"] for one in team.client.objects("events")}

    team.node.plan.release()  # type: ignore[attr-defined]
    for voice in ("urgent", "first", "second"):
        team.until_trained(voice)
    order = [run.voice for run in team.node.runs.values() if run.stage == "train"]
    assert order == ["first", "urgent", "first", "second"]
    assert team.stage("first", "train")["attempt"] == 1


def test_evicted_before_its_pod_started(installed: Kueue, team: Team) -> None:
    team.node.binds = False
    team.apply("ann", compute=QUEUE)
    job = team.job("ann", "prepare")
    team.wait("the pod", lambda: team.client.objects("pods"))
    installed.apply(cluster_queue(team.namespace, gpus=1, preemption=WITHIN, stopPolicy="HoldAndDrain"))
    message = team.until("ann", "EvictedByKueue", f"LocalQueue gpu: ClusterQueue {team.namespace} is inactive")
    assert "Kueue evicted it (ClusterQueueStopped)" in message
    team.node.binds = True
    installed.apply(cluster_queue(team.namespace, gpus=1, preemption=WITHIN, stopPolicy="None"))
    team.until_running("ann", "train")
    assert team.job_names("ann", "prepare") == {job["metadata"]["name"]}
    assert not any(team.stage("ann", "prepare")["failures"].values())
    assert team.stage("ann", "prepare")["attempt"] == 1


def test_deactivated_by_somebody(team: Team) -> None:
    team.apply("busy", compute=QUEUE)
    team.until_running("busy", "train")
    team.apply("ann", compute=QUEUE)
    team.until("ann", "Queued", "train-")
    name = team.workload(team.job("ann", "train"))["metadata"]["name"]
    team.client.patch("workloads", name, {"spec": {"active": False}})
    message = team.until("ann", "WorkloadInactive")
    assert f"kubectl patch workload {name} -n {team.namespace}" in message
    team.edit("ann", retries={"transient": 3})  # a pass that has something to do
    time.sleep(3)
    assert team.client.get("workloads", name)["spec"]["active"] is False
    team.client.patch("workloads", name, {"spec": {"active": True}})
    team.until("ann", "Queued", "train-")


def test_spec_suspend_gives_the_quota_back(team: Team) -> None:
    team.apply("ann", compute=QUEUE)
    job = team.until_running("ann", "train")
    workload = team.workload(team.job("ann", "train"))["metadata"]["name"]
    team.apply("next", compute=QUEUE)
    team.until("next", "Queued", "train-")
    team.edit("ann", suspend=True)
    team.until("ann", "Suspended")
    team.until_running("next", "train")
    assert team.client.get("workloads", workload)["spec"]["active"] is False
    time.sleep(3)
    assert team.ready("ann")["reason"] == "Suspended"
    assert not any(team.stage("ann", "train")["failures"].values())

    team.edit("ann", suspend=False)
    team.until("ann", "Queued", "train-")
    team.node.plan.release()  # type: ignore[attr-defined]
    team.until_trained("ann")
    assert not any(team.stage("ann", "train")["failures"].values())
    assert team.job_names("ann", "train") == {job}


def test_spec_suspend_while_it_waits_keeps_the_job(team: Team) -> None:
    team.apply("busy", compute=QUEUE)
    team.until_running("busy", "train")
    team.apply("ann", compute=QUEUE)
    team.until("ann", "Queued", "train-")
    job = team.job("ann", "train")
    name = team.workload(job)["metadata"]["name"]
    team.edit("ann", suspend=True)
    team.wait("the Workload", lambda: team.client.get("workloads", name)["spec"]["active"] is False)
    team.edit("ann", suspend=False)
    team.until("ann", "Queued", "number 1 in LocalQueue gpu")
    assert team.client.get("workloads", name)["spec"]["active"] is True
    assert team.job("ann", "train")["metadata"]["name"] == job["metadata"]["name"]


def test_another_queue_reaches_what_waits(installed: Kueue, team: Team) -> None:
    team.apply("busy", compute=QUEUE)
    team.until_running("busy", "train")
    team.apply("ann", compute=QUEUE)
    team.until("ann", "Queued", "train-")
    other = f"{team.namespace}-2"
    installed.apply(cluster_queue(other, gpus=1))
    installed.apply(local_queue(team.namespace, "other", other))
    team.edit("ann", compute={"queueName": "other"})
    team.until_running("ann", "train")
    assert team.job("ann", "train")["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "other"
    assert not any(team.stage("ann", "train")["failures"].values())
    team.edit("busy", compute={"queueName": "other"})
    time.sleep(3)
    assert team.stage("busy", "train")["attempt"] == 1, "what runs is left alone"


def test_a_queue_that_is_not_there(team: Team) -> None:
    team.apply("lost", compute={"queueName": "nowhere"})
    message = team.until("lost", "Inadmissible")
    assert message.endswith("LocalQueue nowhere: LocalQueue nowhere doesn't exist"), message


@pytest.mark.parametrize("binds", [True, False], ids=["while it ran", "before its pod started"])
def test_suspended_by_somebody(team: Team, *, binds: bool) -> None:
    team.node.binds, team.node.plan = binds, Hold("prepare")
    team.apply("ann")
    job = team.job("ann", "prepare")
    assert "kueue.x-k8s.io/queue-name" not in job["metadata"]["labels"]
    name = job["metadata"]["name"]
    if binds:
        team.until_running("ann", "prepare")
    team.client.patch("jobs", name, {"spec": {"suspend": True}})
    team.until("ann", "JobSuspended", f"kubectl patch job {name} -n {team.namespace}")
    time.sleep(3)
    assert team.client.get("jobs", name)["spec"]["suspend"] is True, "nobody but them resumes it"
    team.node.binds, team.node.plan = True, Hold("train")
    team.client.patch("jobs", name, {"spec": {"suspend": False}})
    team.until_running("ann", "train")
    assert team.stage("ann", "prepare")["attempt"] == 1
    assert not any(team.stage("ann", "prepare")["failures"].values())


def test_a_local_queue_called_default_takes_jobs_without_a_queue(installed: Kueue, team: Team) -> None:
    installed.apply(local_queue(team.namespace, "default", team.namespace))
    team.apply("busy", compute={"queueName": ""})
    team.until_running("busy", "train")
    assert team.job("busy", "train")["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "default"
    team.apply("ann")
    team.until("ann", "Queued", "train-1: number 1 in LocalQueue default")
    time.sleep(3)
    assert team.stage("ann", "train")["attempt"] == 1, "the label that Kueue added replaces nothing"


def test_a_priority_class_that_is_not_there(team: Team) -> None:
    team.apply("ann", compute=QUEUE | {"priorityClass": "nowhere"})
    # Kueue says nothing of it, on no object.
    team.until("ann", "WorkloadMissing", "whether there is a WorkloadPriorityClass nowhere")
    team.edit("ann", compute={"priorityClass": "urgent"})
    team.until_running("ann", "train")


def test_manage_jobs_without_queue_name(installed: Kueue, team: Team) -> None:
    installed.stop()
    installed.start(manageJobsWithoutQueueName=True)
    try:
        team.apply("ann")
        message = team.until("ann", "Inadmissible")
        assert "set spec.compute.queueName" in message
        name = team.job("ann", "prepare")["metadata"]["name"]
        time.sleep(3)
        assert team.client.get("jobs", name)["spec"]["suspend"] is True, "the operator does not resume it"
        team.edit("ann", compute=QUEUE)
        team.until_running("ann", "train", 2 * STORY_SECONDS)
        assert not any(team.stage("ann", "prepare")["failures"].values())
    finally:
        installed.stop()
        installed.start()
