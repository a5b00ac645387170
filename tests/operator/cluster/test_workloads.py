"""What Kueue says in a Workload, as the sentence of a voice: plain objects in, no Kueue."""

from typing import Any

import pytest

from voice_operator.cluster.caches import Caches
from voice_operator.cluster.workloads import MAX_PLACE, lean_workload, observed_workload, place, why_waiting
from voice_operator.reconcile.observed import ObservedWorkload, Problem
from voice_operator.reconcile.times import parse

Object = dict[str, Any]
TIME = "2026-11-23T06:00:00Z"
LABEL = "voice.sovits.dev/voice-model"
HELD = {"voice.sovits.dev/suspended": "true"}


def condition(kind: str, status: str, reason: str, message: str = "", time: str = TIME) -> Object:
    return {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": time}


PENDING = condition("QuotaReserved", "False", "Pending", "couldn't assign flavors to pod set main: 1 more needed")
RESERVED = condition("QuotaReserved", "True", "QuotaReserved")
PREEMPTED = condition("Evicted", "True", "Preempted", "Preempted to accommodate a workload")
SAID = "Kueue evicted it (Preempted): Preempted to accommodate a workload"
STOPPED = condition("Evicted", "True", "ClusterQueueStopped", "The ClusterQueue is stopped")
OFF = condition("Evicted", "True", "DeactivatedDueToRequeuingLimitExceeded", "exceeded the maximum number of retries")


def a_workload(
    *conditions: Object,
    name: str = "job-alice",
    version: int = 1,
    created: str = TIME,
    annotations: Object | None = None,
    checks: tuple[Object, ...] = (),
    owner: Object | None = None,
    **spec: Any,
) -> Object:
    """A Workload as Kueue writes it."""
    job = {"kind": "Job", "name": "alice-train-1", "uid": "uid-1", "controller": True} | (owner or {})
    template = {"metadata": {"labels": {LABEL: "alice"}}, "spec": {"containers": [{"name": "stage", "env": []}]}}
    pods = [{"name": "main", "count": 1, "template": template}]
    metadata = {"name": name, "namespace": "studio", "resourceVersion": str(version), "creationTimestamp": created}
    return {
        "metadata": metadata | {"ownerReferences": [job], "annotations": annotations or {}},
        "spec": {"queueName": "gpu", "podSets": pods, "active": True, "priority": 0} | spec,
        "status": {"conditions": list(conditions), "admissionChecks": list(checks)},
    }


def test_a_workload_is_kept_without_its_pods() -> None:
    kept = lean_workload(a_workload(PENDING, annotations=HELD | {"other": "x" * 9000}), None)
    assert kept["metadata"]["labels"] == {"kueue.x-k8s.io/job-uid": "uid-1", LABEL: "alice"}
    assert kept["metadata"]["annotations"] == HELD
    assert kept["spec"] == {"active": True, "queueName": "gpu", "priority": 0}
    assert kept["status"]["conditions"] == [PENDING]
    assert kept["order"] == (0, TIME, "job-alice")


def test_what_others_write_into_a_workload_is_bounded() -> None:
    long = [condition(f"Kind{number}", "True", "R", "m" * 50_000) for number in range(100)]
    kept = lean_workload(a_workload(*long, owner={"kind": "RayJob"}), None)
    assert len(str(kept)) < 40_000
    assert "kueue.x-k8s.io/job-uid" not in kept["metadata"]["labels"], "it is no Job's"
    assert lean_workload({"metadata": {"name": "x", "namespace": "y"}}, None)["spec"]["queueName"] is None


@pytest.mark.parametrize(
    ("workload", "number", "reason", "message"),
    [
        pytest.param(a_workload(), 1, "Queued", "number 1 in LocalQueue gpu", id="nothing was said yet"),
        pytest.param(
            a_workload(PENDING),
            3,
            "Queued",
            "number 3 in LocalQueue gpu: couldn't assign flavors to pod set main: 1 more needed",
            id="no quota",
        ),
        pytest.param(
            a_workload(),
            MAX_PLACE + 1,
            "Queued",
            "behind more than 20 others in LocalQueue gpu",
            id="far behind, so that not every admission changes its status",
        ),
        pytest.param(
            a_workload(condition("QuotaReserved", "False", "Inadmissible", "LocalQueue gpu doesn't exist")),
            1,
            "Inadmissible",
            "LocalQueue gpu: LocalQueue gpu doesn't exist",
            id="a queue that is not there",
        ),
        pytest.param(
            a_workload(queueName=""),
            1,
            "Inadmissible",
            "Kueue manages the Job, and no queue is named; set spec.compute.queueName",
            id="manageJobsWithoutQueueName",
        ),
        pytest.param(
            a_workload(PREEMPTED, PENDING),
            2,
            "PreemptedByKueue",
            f"{SAID}; it waits again, number 2 in LocalQueue gpu",
            id="preempted",
        ),
        pytest.param(
            a_workload(STOPPED, condition("QuotaReserved", "False", "Inadmissible", "ClusterQueue one is inactive")),
            1,
            "EvictedByKueue",
            "Kueue evicted it (ClusterQueueStopped): The ClusterQueue is stopped; it waits again, LocalQueue gpu: "
            "ClusterQueue one is inactive",
            id="evicted",
        ),
        pytest.param(
            a_workload(OFF, PENDING),
            1,
            "Queued",
            f"number 1 in LocalQueue gpu: {PENDING['message']}",
            id="active again",
        ),
        pytest.param(
            a_workload(RESERVED, checks=({"name": "prov", "state": "Pending", "message": "no node yet"},)),
            1,
            "AdmissionPending",
            "quota is reserved; admission checks: prov is Pending: no node yet",
            id="an admission check",
        ),
        pytest.param(
            a_workload(OFF, active=False),
            1,
            "WorkloadInactive",
            "Workload job-alice is inactive (Kueue evicted it (DeactivatedDueToRequeuingLimitExceeded): exceeded the "
            "maximum number of retries), so Kueue does not queue it; to queue it again: kubectl patch workload "
            """job-alice -n studio --type merge -p '{"spec":{"active":true}}'""",
            id="deactivated",
        ),
        pytest.param(
            a_workload(active=False, annotations=HELD),
            1,
            "Queued",
            "Kueue is told to queue the Job again",
            id="the operator's own suspension ends",
        ),
    ],
)
def test_a_job_that_waits_says_why(workload: Object, number: int, reason: str, message: str) -> None:
    assert why_waiting(lean_workload(workload), number) == Problem(reason, message)


def test_an_admitted_job_waits_for_nothing() -> None:
    assert why_waiting(lean_workload(a_workload(RESERVED, condition("Admitted", "True", "Admitted"))), 1) is None


@pytest.mark.parametrize(
    ("workload", "expected"),
    [
        pytest.param(a_workload(PENDING), ObservedWorkload("job-alice"), id="that waits"),
        pytest.param(
            a_workload(PREEMPTED),
            ObservedWorkload(
                "job-alice",
                eviction=Problem(
                    "PreemptedByKueue", "Kueue evicted it (Preempted): Preempted to accommodate a workload"
                ),
                evicted_at=parse(TIME),
            ),
            id="that was preempted",
        ),
        pytest.param(
            a_workload(OFF, active=False, annotations=HELD),
            ObservedWorkload("job-alice", active=False, held=True),
            id="that is inactive was not evicted by anybody's need",
        ),
    ],
)
def test_decisions_see_a_workload(workload: Object, expected: ObservedWorkload) -> None:
    assert observed_workload(lean_workload(workload)) == expected


def test_the_place_follows_priority_and_age() -> None:
    late = condition("Evicted", "True", "PodsReadyTimeout", time="2026-11-23T09:00:00Z")
    queue = {
        "old": a_workload(name="old", created="2026-11-23T01:00:00Z"),
        "late": a_workload(late, name="late", created="2026-11-23T00:00:00Z"),
        "preempted": a_workload(PREEMPTED, name="preempted", created="2026-11-23T02:00:00Z"),
        "urgent": a_workload(name="urgent", created="2026-11-23T08:00:00Z", priority=10),
        "running": a_workload(RESERVED, name="running", created="2026-11-23T00:00:00Z"),
        "off": a_workload(name="off", created="2026-11-23T00:00:00Z", active=False),
        "done": a_workload(condition("Finished", "True", "Succeeded"), name="done", created="2026-11-23T00:00:00Z"),
    }
    lean = {name: lean_workload(one) for name, one in queue.items()}
    places = {name: place(lean[name], lean.values()) for name in ("urgent", "old", "preempted", "late")}
    assert places == {"urgent": 1, "old": 2, "preempted": 3, "late": 4}


def test_those_are_woken_whose_place_changes() -> None:
    woken: list[str] = []
    caches = Caches(on_child=lambda item: woken.append(item["metadata"]["name"]))
    names = [f"w{number:02}" for number in range(MAX_PLACE + 5)]

    def put(name: str, *conditions: Object, version: int, **spec: Any) -> list[str]:
        woken.clear()
        created = f"2026-11-23T0{int(name.startswith('late'))}:00:00Z"
        caches.workloads.update(a_workload(*conditions, name=name, version=version, created=created, **spec))
        return list(woken)

    for number, name in enumerate(names):
        assert put(name, version=number + 1) == [name], "who comes last moves nobody"
    assert put("w01", RESERVED, version=100) == ["w01", *names[2 : MAX_PLACE + 2]], "all whose place is told"
    assert put("w00", PENDING, version=101) == ["w00"], "a new sentence moves nobody"
    assert put("late", version=102) == ["late"]
    assert put("late", version=103, priority=5)[:3] == ["late", "w00", "w02"], "who goes before others now"
    woken.clear()
    caches.workloads.delete(a_workload(name="late", version=104, priority=5))
    assert woken[:3] == ["late", "w00", "w02"]


def test_a_job_finds_its_workload_and_its_place() -> None:
    woken: list[str] = []
    caches = Caches(on_child=lambda item: woken.append(item["metadata"]["labels"][LABEL]))
    job = {"metadata": {"namespace": "studio", "name": "alice-train-1", "uid": "uid-1"}}
    assert caches.queue_of(job).workload is None
    caches.workloads.update(a_workload(name="other", owner={"uid": "uid-2"}, created="2026-11-23T01:00:00Z"))
    caches.workloads.update(a_workload(PENDING, version=2))
    found = caches.queue_of(job)
    assert found.workload is not None
    assert (found.workload["metadata"]["name"], found.number) == ("job-alice", 2)
    assert woken == ["alice", "alice"]
