"""Jobs that fail, wait or do not go, against a real API server and the real Job, quota and pod controllers."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

NAMESPACE = "operator-tests"
MINUTE = 60
# A node counts as gone, and a deletion as stuck, once a minute is over, whatever the settings say.
WAITS_FOR_A_MINUTE = pytest.mark.faults
NODES = "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector."


@pytest.fixture
def apply(scene: Any) -> Iterator[Callable[..., None]]:
    """Apply voices that go when the test ends."""
    names: list[str] = []

    def voice(name: str, **spec: Any) -> None:
        names.append(name)
        scene.apply(name, **spec)

    yield voice
    for name in names:
        scene.user.delete("voicemodel", name)


def next_attempt(scene: Any, job: str, seconds: float = 30) -> str:
    """Wait for the attempt after this one, and return its Job's name."""
    name, _, attempt = job.rpartition("-")
    following = f"{name}-{int(attempt) + 1}"
    scene.wait(following, lambda: scene.user.exists("job", following), seconds)
    return following


def stage_of(scene: Any, voice: str, name: str = "prepare") -> dict[str, Any]:
    stages: list[dict[str, Any]] = scene.user.status(voice).get("stages", [])
    return next((stage for stage in stages if stage["name"] == name), {"failures": {}})


def wait_for_reason(scene: Any, voice: str, reason: str, seconds: float = 30) -> str:
    """Wait for the reason of the condition Ready, and return its message."""
    scene.wait(reason, lambda: scene.user.condition(voice, "Ready")["reason"] == reason, seconds)
    return str(scene.user.condition(voice, "Ready")["message"])


def unschedulable(seconds_ago: float) -> dict[str, Any]:
    """What a scheduler writes on a pod."""
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - seconds_ago))
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": NODES}
    return condition | {"lastTransitionTime": since}


def bind(scene: Any, job: str, node: str) -> str:
    """Give the Job's pod a node, as a scheduler does; return the pod's name."""
    pod: str = scene.kubelet.pod_of(job)
    target = {"apiVersion": "v1", "kind": "Node", "name": node}
    binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": pod}, "target": target}
    path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}/binding"
    scene.user.run("create", "--raw", path, "-f", "-", stdin=json.dumps(binding))
    return pod


@pytest.fixture
def node(scene: Any) -> Iterator[str]:
    """A node without a kubelet; a test may take it away."""
    scene.user.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "stage-node"}})
    yield "stage-node"
    scene.user.run("delete", "node", "stage-node", "--ignore-not-found")


def test_a_disruption_is_counted_apart_and_the_next_attempt_follows(scene: Any, apply: Callable[..., None]) -> None:
    apply("evacuee")
    job = scene.reach_job("evacuee", "prepare")
    disruption = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}
    disruption |= {"message": "Eviction API: evicting", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    scene.kubelet.report(job, "Failed", conditions=[disruption])
    assert "Eviction API: evicting" in wait_for_reason(scene, "evacuee", "Retrying")
    next_attempt(scene, job)
    failures = stage_of(scene, "evacuee")["failures"]
    assert (failures["preemption"], failures["transient"]) == (1, 0)
    (failed,) = [c for c in scene.user.get("job", job)["status"]["conditions"] if c["type"] == "Failed"]
    assert failed["message"].endswith("has condition DisruptionTarget matching FailJob rule at index 2"), (
        "the words by which a preemption is known when its pod is gone"
    )


@WAITS_FOR_A_MINUTE
def test_a_lost_node_is_a_preemption(scene: Any, apply: Callable[..., None], node: str) -> None:
    apply("castaway")
    job = scene.reach_job("castaway", "prepare")
    bind(scene, job, node)
    scene.kubelet.run(job)
    scene.wait("the pod to run", lambda: "is running" in scene.user.condition("castaway", "Ready")["message"])
    scene.user.run("delete", "node", node)
    next_attempt(scene, job, seconds=3 * MINUTE)  # the garbage collector waits before it believes that a node is gone
    stage = stage_of(scene, "castaway")
    assert stage["failures"]["preemption"] == 1
    assert stage["lastFailure"]["class"] == "Preemption"


def test_an_eviction_for_its_own_excess_is_told_in_the_kubelets_words(scene: Any, apply: Callable[..., None]) -> None:
    apply("glutton")
    job = scene.reach_job("glutton", "prepare")
    words = 'Usage of EmptyDir volume "work" exceeds the limit "20Gi".'
    scene.kubelet.report(job, "Failed", reason="Evicted", message=words)
    assert words in wait_for_reason(scene, "glutton", "Retrying")
    next_attempt(scene, job)
    stage = stage_of(scene, "glutton")
    assert (stage["failures"]["transient"], stage["lastFailure"]["reason"]) == (1, "Evicted")


def test_host_memory_that_ran_out_is_raised_by_half(scene: Any, apply: Callable[..., None]) -> None:
    apply("bulky")
    job = scene.reach_job("bulky", "prepare")
    scene.kubelet.end(job, exit_code=137, reason="OOMKilled")
    second = scene.user.get("job", next_attempt(scene, job))
    resources = second["spec"]["template"]["spec"]["containers"][0]["resources"]
    assert resources == {"requests": {"cpu": "250m", "memory": "1536Mi"}}
    scene.wait("the count", lambda: stage_of(scene, "bulky")["failures"].get("outOfHostMemory") == 1)


def test_a_pod_beyond_its_deadline_is_final_and_waiting_does_not_count(scene: Any, apply: Callable[..., None]) -> None:
    apply("slow", compute={"timeout": "90m"})
    job = scene.reach_job("slow", "prepare")
    spec = scene.user.get("job", job)["spec"]
    assert (spec["template"]["spec"]["activeDeadlineSeconds"], "activeDeadlineSeconds" in spec) == (5400, False)
    words = "Pod was active on the node longer than the specified deadline"
    scene.kubelet.report(job, "Failed", reason="DeadlineExceeded", message=words)
    assert "spec.compute.timeout; tried again at " in wait_for_reason(scene, "slow", "DeadlineExceeded")


def test_a_quota_that_forbids_pods_is_told_within_a_minute(scene: Any, apply: Callable[..., None]) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "spec": {"hard": {"pods": "0"}}}
    scene.user.apply(quota | {"metadata": {"name": "no-pods", "namespace": NAMESPACE}})
    try:
        scene.wait("the quota", lambda: scene.user.get("resourcequota", "no-pods").get("status", {}).get("used"))
        apply("unwelcome")
        message = wait_for_reason(scene, "unwelcome", "PodNotCreated", MINUTE)
        assert "exceeded quota: no-pods, requested: pods=1" in message
    finally:
        scene.user.delete("resourcequota", "no-pods")
    scene.wait("another word", lambda: scene.user.condition("unwelcome", "Ready")["reason"] == "Preparing", 3 * MINUTE)


def test_a_volume_that_cannot_be_mounted_is_told_within_a_minute(
    scene: Any, apply: Callable[..., None], node: str
) -> None:
    apply("rootless")
    pod = bind(scene, scene.reach_job("rootless", "prepare"), node)
    words = 'MountVolume.SetUp failed for volume "job" : configmap "rootless" not found'
    metadata = scene.user.get("pod", pod)["metadata"]
    involved = {"kind": "Pod", "namespace": NAMESPACE, "name": pod, "uid": metadata["uid"], "apiVersion": "v1"}
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    event = {"type": "Warning", "reason": "FailedMount", "message": words, "source": {"component": "kubelet"}}
    event |= {"firstTimestamp": moment, "lastTimestamp": moment, "count": 1, "involvedObject": involved}
    event |= {"apiVersion": "v1", "kind": "Event", "metadata": {"name": f"{pod}.mount", "namespace": NAMESPACE}}
    scene.user.apply(event)
    assert words in wait_for_reason(scene, "rootless", "VolumeNotMounted", MINUTE)


def test_spot_nodes_that_do_not_come_are_replaced_by_on_demand_ones(scene: Any, apply: Callable[..., None]) -> None:
    apply("thrifty")
    scene.finish("thrifty", "prepare")
    job = scene.reach_job("thrifty", "train")
    scene.kubelet.report(job, "Pending", conditions=[unschedulable(seconds_ago=5)])
    assert NODES in wait_for_reason(scene, "thrifty", "WaitingForNode", MINUTE)
    scene.kubelet.report(job, "Pending", conditions=[unschedulable(seconds_ago=601)])
    second = scene.user.get("job", next_attempt(scene, job, MINUTE))
    assert second["metadata"]["labels"]["voice.sovits.dev/capacity"] == "OnDemand"
    (term,) = second["spec"]["template"]["spec"]["affinity"]["nodeAffinity"][
        "requiredDuringSchedulingIgnoredDuringExecution"
    ]["nodeSelectorTerms"]
    assert term["matchExpressions"][0]["operator"] == "NotIn"
    scene.wait("the record", lambda: stage_of(scene, "thrifty", "train").get("capacity") == "OnDemand")
    stage = stage_of(scene, "thrifty", "train")
    assert stage["onDemandOnly"]
    assert not any(stage["failures"].values()), "nothing failed"
    assert "SpotGivenUp" in scene.user.event_reasons("thrifty")


def test_a_scheduling_timeout_ends_the_stage(scene: Any, apply: Callable[..., None]) -> None:
    apply("homeless", compute={"schedulingTimeout": "1m"})
    job = scene.reach_job("homeless", "prepare")
    scene.kubelet.report(job, "Pending", conditions=[unschedulable(seconds_ago=61)])
    message = wait_for_reason(scene, "homeless", "Unschedulable", MINUTE)
    assert f"no node within spec.compute.schedulingTimeout (1m): {NODES}" in message
    scene.wait("the Job to go", lambda: not scene.user.exists("job", job))


def test_an_edit_of_compute_reaches_what_waits_but_not_what_runs(scene: Any, apply: Callable[..., None]) -> None:
    apply("editor")
    job = scene.reach_job("editor", "prepare")
    scene.user.patch("voicemodel", "editor", {"spec": {"compute": {"timeout": "2h"}}})
    second = next_attempt(scene, job)
    assert scene.user.get("job", second)["spec"]["template"]["spec"]["activeDeadlineSeconds"] == 7200
    assert not any(stage_of(scene, "editor")["failures"].values())

    scene.kubelet.run(second)
    scene.wait("the pod to run", lambda: "is running" in scene.user.condition("editor", "Ready")["message"])
    scene.user.patch("voicemodel", "editor", {"spec": {"compute": {"timeout": "3h"}}})
    generation = scene.user.get("voicemodel", "editor")["metadata"]["generation"]
    scene.wait("the edit", lambda: scene.user.status("editor")["observedGeneration"] == generation)
    time.sleep(2)
    assert scene.user.jobs("editor") == [second]


def test_what_failed_for_a_cause_outside_the_spec_is_tried_again_on_request(
    scene: Any, apply: Callable[..., None]
) -> None:
    apply("hopeful")
    job = scene.reach_job("hopeful", "prepare")
    failure = {"schema": "voice.sovits.dev/failure/v1", "stage": "prepare", "exitCode": 78, "reason": "NoCredentials"}
    failure["message"] = "the store refuses AWS_SECRET_ACCESS_KEY=wJalrXUtn"
    scene.kubelet.end(job, exit_code=78, message=json.dumps(failure))
    message = wait_for_reason(scene, "hopeful", "NoCredentials")
    assert "the store refuses AWS_SECRET_ACCESS_KEY=***; tried again at 20" in message
    assert scene.user.condition("hopeful", "Stalled")["status"] == "True"
    assert "wJalr" not in json.dumps(scene.user.get("voicemodel", "hopeful"))
    scene.user.run("annotate", "voice", "hopeful", "-n", NAMESPACE, "voice.sovits.dev/retry=1", "--overwrite")
    next_attempt(scene, job)
    scene.wait("the record", lambda: scene.user.status("hopeful").get("lastHandledRequest") == "1")


@WAITS_FOR_A_MINUTE
def test_a_job_that_does_not_go_is_told_deleted_once_and_awaited(scene: Any, apply: Callable[..., None]) -> None:
    user = scene.user
    apply("clinging")
    job = scene.reach_job("clinging", "prepare")
    pod = scene.kubelet.pod_of(job)
    held = user.get("pod", pod)["metadata"]["finalizers"]
    user.patch("pod", pod, {"metadata": {"finalizers": [*held, "example.com/hold"]}})
    before = deleted(scene)
    user.patch("voicemodel", "clinging", {"spec": {"compute": {"timeout": "2h"}}})
    message = wait_for_reason(scene, "clinging", "JobDeleting", 2 * MINUTE)
    assert f"example.com/hold of pod {pod}" in message
    assert "foregroundDeletion" in message
    assert deleted(scene) - before == 1
    assert user.jobs("clinging") == [], "one writer per workspace"
    user.patch("pod", pod, {"metadata": {"finalizers": []}})
    next_attempt(scene, job)
    assert not any(stage_of(scene, "clinging")["failures"].values())


def deleted(scene: Any) -> float:
    """How many deletions of Jobs the operator has asked for."""
    found = [sample for sample in scene.operator.metrics() if sample.name == "rest_client_requests_total"]
    return sum(s.value for s in found if (s.labels["verb"], s.labels["resource"]) == ("delete", "jobs"))
