"""A Job, its pods and their Events, read as the state of a stage: plain objects in, no API server."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from voice_operator.cluster.jobs import observed_job
from voice_operator.cluster.pods import sentence
from voice_operator.cluster.waiting import unexplained
from voice_operator.cluster.workloads import QueueState
from voice_operator.reconcile.failures import failure_class
from voice_operator.reconcile.observed import ObservedJob

NOW = datetime(2026, 11, 23, 6, 7, tzinfo=UTC)
HASH = "3fa9c2d1" * 8
LABELS = {
    "voice.sovits.dev/stage": "train",
    "voice.sovits.dev/attempt": "2",
    "voice.sovits.dev/input-hash": HASH[:63],
}
QUEUE = {"kueue.x-k8s.io/queue-name": "gpu"}
FAILURE = {
    "schema": "voice.sovits.dev/failure/v1",
    "stage": "train",
    "exitCode": 65,
    "reason": "TooLittleSpeech",
    "message": "41.2 s",
}

Object = dict[str, Any]


def ago(seconds: float) -> str:
    return (NOW - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def a_job(
    *conditions: Object, age: float = 0, labels: Object | None = None, spec: Object | None = None, **more: Any
) -> Object:
    """A Job of this age in seconds; ``more`` goes into its metadata."""
    template = {"spec": {"containers": [{"name": "stage", "resources": {"limits": {"memory": "16Gi"}}}]}}
    metadata = {"name": "alice-train-2", "namespace": "studio", "creationTimestamp": ago(age)}
    metadata |= {"labels": LABELS | (labels or {})}
    return {
        "metadata": metadata | more,
        "spec": {"template": template} | (spec or {}),
        "status": {"conditions": list(conditions)},
    }


def a_pod(
    state: Object | None = None,
    *conditions: Object,
    age: float = 0,
    node: str = "",
    metadata: Object | None = None,
    **status: Any,
) -> Object:
    """A pod whose container is in ``state``."""
    containers = [] if state is None else [{"name": "stage", "image": "trainer:1", "state": state}]
    return {
        "metadata": {"name": "alice-train-2-x7k2p", "creationTimestamp": ago(age)} | (metadata or {}),
        "spec": {"nodeName": node} if node else {},
        "status": {"phase": "Pending", "containerStatuses": containers, "conditions": list(conditions)} | status,
    }


def an_event(reason: str, note: str, kind: str = "Warning", age: float = 0) -> Object:
    return {"reason": reason, "note": note, "type": kind, "deprecatedLastTimestamp": ago(age)}


def ended(exit_code: int, message: str = "", reason: str = "Error", **status: Any) -> Object:
    end = {"exitCode": exit_code, "message": message, "reason": reason, "finishedAt": "t"}
    return a_pod({"terminated": end}, **({"phase": "Failed"} | status))


def failed(reason: str = "PodFailurePolicy", message: str = "") -> Object:
    return {"type": "Failed", "status": "True", "reason": reason, "message": message}


def disrupted(reason: str, message: str) -> Object:
    return {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": message}


def unschedulable(reason: str = "Unschedulable", message: str = "0/2 nodes are available") -> Object:
    return {"type": "PodScheduled", "status": "False", "reason": reason, "message": message}


def read(job: Object, *pods: Object, events: tuple[Object, ...] = ()) -> ObservedJob:
    observed = observed_job(job, pods, events, input_hash=HASH, now=NOW)
    assert observed is not None
    return observed


@pytest.mark.parametrize(
    ("condition", "pods", "reason", "kind"),
    [
        pytest.param(
            failed(),
            [ended(65, json.dumps(FAILURE))],
            "TooLittleSpeech",
            "Permanent",
            id="the trainer's termination message",
        ),
        pytest.param(
            failed(), [ended(65, "log line\n" + json.dumps(FAILURE))], "TooLittleSpeech", "Permanent", id="after a log"
        ),
        pytest.param(
            failed(), [ended(1, "Traceback ...")], "UnknownExit", "Transient", id="a crash without a failure document"
        ),
        pytest.param(failed(), [ended(90, "")], "UnknownExit", "OutOfMemory", id="GPU memory"),
        pytest.param(
            failed("BackoffLimitExceeded"),
            [ended(137, "", "OOMKilled")],
            "OutOfHostMemory",
            "OutOfHostMemory",
            id="host memory",
        ),
        pytest.param(
            failed("BackoffLimitExceeded"),
            [ended(137)],
            "UnknownExit",
            "Transient",
            id="137 alone, which may be a lost node as well",
        ),
        pytest.param(
            failed("BackoffLimitExceeded"),
            [ended(143, json.dumps(FAILURE | {"exitCode": 143, "reason": "Interrupted"}))],
            "Interrupted",
            "Transient",
            id="an interruption that the trainer reports itself",
        ),
        pytest.param(
            failed("BackoffLimitExceeded"),
            [a_pod(phase="Failed", reason="DeadlineExceeded", message="Pod was active on the node longer than ...")],
            "DeadlineExceeded",
            "DeadlineExceeded",
            id="the pod's deadline",
        ),
        pytest.param(
            failed("DeadlineExceeded"), [], "DeadlineExceeded", "DeadlineExceeded", id="the deadline of an older Job"
        ),
        pytest.param(
            failed(),
            [
                a_pod(
                    {},
                    disrupted("PreemptionByScheduler", "preempting to accommodate a higher priority"),
                    phase="Failed",
                )
            ],
            "Preempted",
            "Preemption",
            id="a preempted pod",
        ),
        pytest.param(
            failed(message="Pod studio/alice-x has condition DisruptionTarget matching FailJob rule at index 2"),
            [],
            "Preempted",
            "Preemption",
            id="a preempted pod that is gone",
        ),
        pytest.param(
            failed(),
            [ended(65, json.dumps(FAILURE), conditions=[disrupted("TerminationByKubelet", "shutdown")])],
            "TooLittleSpeech",
            "Permanent",
            id="bad data on a node that shuts down is still bad data",
        ),
        pytest.param(
            failed("BackoffLimitExceeded"),
            [a_pod(phase="Failed", reason="OutOfcpu", message="Node didn't have enough resource: cpu")],
            "OutOfcpu",
            "Transient",
            id="whatever the kubelet calls it",
        ),
        pytest.param(
            failed(message="Container stage for pod a/b failed with exit code 78 matching FailJob rule at index 0"),
            [],
            "PodFailurePolicy",
            "Permanent",
            id="the Job's condition when the pod is gone",
        ),
        pytest.param(failed("BackoffLimitExceeded"), [], "BackoffLimitExceeded", "Transient", id="no message at all"),
        pytest.param(
            failed(),
            [ended(65, json.dumps(FAILURE | {"reason": "x y"}))],
            "UnknownExit",
            "Permanent",
            id="a reason that could not be a condition's",
        ),
    ],
)
def test_a_failed_job(condition: Object, pods: list[Object], reason: str, kind: str) -> None:
    observed = read(a_job(condition), *pods)
    assert observed.state == "Failed"
    assert observed.failure is not None
    assert (observed.failure.reason, failure_class(observed.failure)) == (reason, kind)


@pytest.mark.parametrize(
    ("pod", "sentence"),
    [
        pytest.param(
            a_pod(phase="Failed", reason="Evicted", message="Usage of EmptyDir volume exceeds the limit 20Gi."),
            "Usage of EmptyDir volume exceeds the limit 20Gi.",
            id="the kubelet, of a pod that used too much",
        ),
        pytest.param(
            a_pod(
                {},
                disrupted("DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint"),
                phase="Failed",
            ),
            "the pod lost its node (DeletionByTaintManager): Taint manager: deleting due to NoExecute taint",
            id="the controller that took it away",
        ),
        pytest.param(
            ended(137, "", "OOMKilled"),
            "the container used more memory than its limit of 16Gi",
            id="the Job's own limit",
        ),
        pytest.param(
            ended(1, "x" * 450 + " AWS_SECRET_ACCESS_KEY=" + "k" * 100 + " end"),
            f"the container ended with exit code 1: {'x' * 450} AWS_SECRET_ACCESS_KEY=*** end",
            id="a log, whose secrets are masked before it is cut",
        ),
        pytest.param(
            ended(75, json.dumps(FAILURE | {"message": "no answer from https://s3/x?X-Amz-Signature=abc"})),
            "no answer from https://s3/x?X-Amz-Signature=***",
            id="the trainer, without its signatures",
        ),
    ],
)
def test_a_failure_is_told_in_the_words_of(pod: Object, sentence: str) -> None:
    observed = read(a_job(failed("BackoffLimitExceeded")), pod)
    assert observed.failure is not None
    assert observed.failure.message == sentence


NO_SECRET = 'MountVolume.SetUp failed for volume "job" : configmap "alice" not found'
QUOTA = 'Error creating: pods "alice-train-2-x" is forbidden: exceeded quota: gpus'


@pytest.mark.parametrize(
    ("job", "pods", "events", "reason", "sentence"),
    [
        pytest.param(
            a_job(age=10),
            [],
            [an_event("FailedCreate", QUOTA)],
            "PodNotCreated",
            QUOTA,
            id="quota, admission, standards",
        ),
        pytest.param(
            a_job(age=30),
            [a_pod({"waiting": {"reason": "ContainerCreating"}}, node="n1", age=30)],
            [an_event("Scheduled", "assigned", "Normal", age=30), an_event("FailedMount", NO_SECRET)],
            "VolumeNotMounted",
            NO_SECRET,
            id="a volume that is not there",
        ),
        pytest.param(
            a_job(age=30),
            [a_pod({"waiting": {"reason": "ContainerCreating"}}, node="n1", age=30)],
            [an_event("FailedMount", 'MountVolume.SetUp failed for volume "store-keys" : secret "s3" not found')],
            "SecretNotFound",
            'secret "s3" not found in the voice\'s namespace',
            id="the store's keys are not there",
        ),
        pytest.param(
            a_job(age=30),
            [a_pod({"waiting": {"reason": "ContainerCreating"}}, node="n1", age=30)],
            [an_event("FailedCreatePodSandBox", "failed to set up sandbox\nnetwork: no CNI")],
            "PodNotStarted",
            "failed to set up sandbox network: no CNI",
            id="no sandbox",
        ),
        pytest.param(
            a_job(),
            [a_pod({"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "store" not found'}})],
            [],
            "SecretNotFound",
            'secret "store" not found in the voice\'s namespace',
            id="a missing secret",
        ),
        pytest.param(
            a_job(),
            [a_pod({"waiting": {"reason": "ErrImageNeverPull"}})],
            [],
            "ImageNotAvailable",
            "trainer:1: ErrImageNeverPull",
            id="a missing image",
        ),
        pytest.param(
            a_job(),
            [a_pod({"waiting": {"reason": "CreateContainerError", "message": "no such device"}})],
            [],
            "ContainerNotStarted",
            "CreateContainerError: no such device",
            id="a container that the runtime refuses",
        ),
        pytest.param(
            a_job(), [a_pod(None, unschedulable())], [], "WaitingForNode", "0/2 nodes are available", id="no node"
        ),
        pytest.param(
            a_job(),
            [a_pod(None, unschedulable("SchedulingGated", "Scheduling is blocked due to non-empty scheduling gates"))],
            [],
            "SchedulingGated",
            "Scheduling is blocked due to non-empty scheduling gates",
            id="a gate",
        ),
        pytest.param(
            a_job(),
            [a_pod({"running": {}}, phase="Running", node="n1", metadata={"deletionTimestamp": ago(90)})],
            [],
            "PodDeleting",
            f"pod alice-train-2-x7k2p should have been gone at {ago(90)}; its node n1 may be lost",
            id="a node that does not answer",
        ),
    ],
)
def test_a_job_that_waits(job: Object, pods: list[Object], events: list[Object], reason: str, sentence: str) -> None:
    observed = read(job, *pods, events=tuple(events))
    assert observed.waiting is not None
    assert (observed.waiting.reason, observed.waiting.message) == (reason, sentence)


def test_a_warning_that_was_overcome_is_not_told() -> None:
    pod = a_pod({"waiting": {"reason": "ContainerCreating"}}, node="n1", age=60)
    pulling = an_event("Pulling", "Pulling image", "Normal", age=5)
    assert read(a_job(age=60), pod, events=(an_event("FailedMount", NO_SECRET, age=50), pulling)).waiting is None


CREATING = {"waiting": {"reason": "ContainerCreating"}}


@pytest.mark.parametrize(
    ("job", "pods", "name", "next_check"),
    [
        pytest.param(a_job(age=2), [], None, 3, id="not of a Job that is two seconds old"),
        pytest.param(a_job(age=6), [], "alice-train-2", None, id="of a Job without a pod"),
        pytest.param(a_job(age=600, spec={"suspend": True}), [], None, None, id="not of a suspended Job"),
        pytest.param(a_job(age=9), [a_pod(CREATING, node="n1", age=5)], None, 10, id="not of a pod that starts"),
        pytest.param(
            a_job(age=30), [a_pod(CREATING, node="n1", age=20)], "alice-train-2-x7k2p", None, id="of one that does not"
        ),
        pytest.param(
            a_job(age=30),
            [a_pod({"waiting": {"reason": "ImagePullBackOff"}}, node="n1", age=20)],
            None,
            None,
            id="not of one that says itself what it lacks",
        ),
        pytest.param(
            a_job(age=900), [a_pod(None, unschedulable(), age=899)], None, None, id="not of one without a node"
        ),
        pytest.param(
            a_job(age=900), [a_pod({"running": {}}, phase="Running", node="n1")], None, None, id="not of one that runs"
        ),
    ],
)
def test_events_are_asked_for(job: Object, pods: list[Object], name: str | None, next_check: float | None) -> None:
    about = unexplained(job, pods, NOW)
    assert (about and about["metadata"]["name"]) == name
    assert read(job, *pods).next_check == next_check


def test_a_job_in_a_queue_says_so() -> None:
    observed = read(a_job(labels=QUEUE, spec={"suspend": True}, age=3600))
    assert observed.waiting is not None
    assert observed.waiting.reason == "Queued"
    assert observed.unscheduled_since is None, "time in the queue is no time without a node"


@pytest.mark.parametrize(
    ("queue", "age", "expected"),
    [
        pytest.param(None, 3600, "Queued", id="where Kueue is not watched"),
        pytest.param(QueueState(), 5, "Queued", id="in its first moments"),
        pytest.param(QueueState(), 16, "WorkloadMissing", id="and then it is suspicious"),
    ],
)
def test_a_queued_job_without_a_workload(queue: QueueState | None, age: float, expected: str) -> None:
    labels = QUEUE | {"kueue.x-k8s.io/priority-class": "urgent"}
    job = a_job(labels=labels, spec={"suspend": True}, age=age)
    observed = observed_job(job, (), (), queue, input_hash=HASH, now=NOW)
    assert observed is not None
    assert observed.waiting is not None
    assert observed.waiting.reason == expected
    assert observed.next_check == (11 if age == 5 else None)
    assert ("WorkloadPriorityClass urgent" in observed.waiting.message) == (expected == "WorkloadMissing")


@pytest.mark.parametrize(
    ("annotations", "reason"),
    [
        pytest.param({}, "JobSuspended", id="by somebody else"),
        pytest.param({"voice.sovits.dev/suspended": "true"}, None, id="by the operator, which resumes it"),
    ],
)
def test_a_job_is_suspended(annotations: Object, reason: str | None) -> None:
    observed = read(a_job(spec={"suspend": True}, annotations=annotations))
    assert (observed.waiting.reason if observed.waiting else None) == reason
    assert observed.held == bool(annotations)


@pytest.mark.parametrize(
    ("pod", "since"),
    [
        pytest.param(
            a_pod(None, unschedulable() | {"lastTransitionTime": ago(600)}, age=700),
            NOW - timedelta(seconds=600),
            id="since the scheduler found none",
        ),
        pytest.param(
            a_pod(age=700), NOW - timedelta(seconds=700), id="since its creation, if no scheduler said a word"
        ),
        pytest.param(a_pod(CREATING, node="n1", age=700), None, id="not once it has a node"),
        pytest.param(a_pod(None, unschedulable("SchedulingGated"), age=700), None, id="not behind a gate"),
        pytest.param(a_pod({"running": {}}, phase="Running", age=700), None, id="not while it runs"),
    ],
)
def test_a_pod_waits_for_a_node(pod: Object, since: datetime | None) -> None:
    assert read(a_job(age=700), pod).unscheduled_since == since


@pytest.mark.parametrize(
    ("pods", "started"),
    [
        pytest.param([], False, id="without a pod"),
        pytest.param([a_pod(CREATING, node="n1")], False, id="while its container is made"),
        pytest.param([a_pod({"running": {}}, phase="Running")], True, id="when it runs"),
    ],
)
def test_a_pod_has_started(pods: list[Object], started: bool) -> None:
    assert read(a_job(), *pods).started is started


def test_a_deletion_names_what_holds_it_up() -> None:
    pod = a_pod({"running": {}}, phase="Running", metadata={"finalizers": ["example.com/hold"]})
    job = a_job(deletionTimestamp=ago(90), finalizers=["foregroundDeletion"])
    observed = read(job, pod)
    assert (observed.state, observed.deleting_since) == ("Deleting", NOW - timedelta(seconds=90))
    assert observed.held_by == ("foregroundDeletion", "example.com/hold of pod alice-train-2-x7k2p")
    assert read(a_job(failed(), deletionTimestamp=ago(90))).state == "Failed", "what has ended, has ended"


def test_what_an_attempt_asked_for_is_read_from_the_job() -> None:
    job = a_job(
        labels={"voice.sovits.dev/capacity": "SpotThenOnDemand"}, annotations={"voice.sovits.dev/template-hash": "ab"}
    )
    observed = read(job)
    assert (observed.capacity, observed.template_hash) == ("SpotThenOnDemand", "ab")
    assert read(a_job(labels={"voice.sovits.dev/capacity": "cheap"})).capacity is None


def test_the_hash_is_recognised_although_a_label_is_too_short_for_it() -> None:
    observed = read(a_job({"type": "Complete", "status": "True"}))
    assert (observed.input_hash, observed.state, observed.attempt) == (HASH, "Succeeded", 2)


def test_a_job_of_somebody_else_is_ignored() -> None:
    stranger = a_job(labels={"voice.sovits.dev/stage": "bake"})
    assert observed_job(stranger, [], [], input_hash=HASH, now=NOW) is None


def test_what_a_pod_says_last_is_one_printable_line() -> None:
    assert sentence("two\nlines \x1b[2J\u202e") == "two lines \\x1b[2J\\u202e"
