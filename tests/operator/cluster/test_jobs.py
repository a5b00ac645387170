"""A Job and its pods, read as the state of a stage."""

import json
from typing import Any

import pytest

from voice_operator.cluster.jobs import observed_job
from voice_operator.reconcile.stages import failure_class

HASH = "3fa9c2d1" * 8
FAILURE = {
    "schema": "voice.sovits.dev/failure/v1",
    "stage": "prepare",
    "exitCode": 65,
    "reason": "TooLittleSpeech",
    "message": "41.2 s",
}


def a_job(*conditions: dict[str, str], **spec: Any) -> dict[str, Any]:
    labels = {
        "voice.sovits.dev/stage": "prepare",
        "voice.sovits.dev/attempt": "2",
        "voice.sovits.dev/input-hash": HASH[:63],
    }
    labels |= spec.pop("labels", {})
    return {"metadata": {"name": "j", "labels": labels}, "spec": spec, "status": {"conditions": list(conditions)}}


def a_pod(state: dict[str, Any], *conditions: dict[str, str]) -> dict[str, Any]:
    return {
        "status": {
            "containerStatuses": [{"name": "stage", "image": "trainer:1", "state": state}],
            "conditions": list(conditions),
        }
    }


def ended(exit_code: int, message: str = "", reason: str = "Error") -> dict[str, Any]:
    return a_pod({"terminated": {"exitCode": exit_code, "message": message, "reason": reason, "finishedAt": "t"}})


def failed(reason: str = "PodFailurePolicy", message: str = "") -> dict[str, str]:
    return {"type": "Failed", "status": "True", "reason": reason, "message": message}


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
        pytest.param(failed(), [ended(137, "", "OOMKilled")], "OutOfHostMemory", "Transient", id="host memory"),
        pytest.param(failed("DeadlineExceeded"), [], "DeadlineExceeded", "DeadlineExceeded", id="the deadline"),
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
def test_a_failed_job(condition: dict[str, str], pods: list[Any], reason: str, kind: str) -> None:
    observed = observed_job(a_job(condition), pods, HASH)
    assert observed is not None
    assert observed.state == "Failed"
    assert observed.failure is not None
    assert (observed.failure.reason, failure_class(observed.failure)) == (reason, kind)


@pytest.mark.parametrize(
    ("pods", "reason"),
    [
        pytest.param(
            [a_pod({"waiting": {"reason": "CreateContainerConfigError", "message": 'secret "store" not found'}})],
            "SecretNotFound",
            id="a missing secret",
        ),
        pytest.param([a_pod({"waiting": {"reason": "ErrImageNeverPull"}})], "ImageNotAvailable", id="a missing image"),
        pytest.param(
            [a_pod({}, {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/2 nodes"})],
            "WaitingForNode",
            id="no node",
        ),
    ],
)
def test_a_job_that_waits(pods: list[Any], reason: str) -> None:
    observed = observed_job(a_job(), pods, HASH)
    assert observed is not None
    assert observed.waiting is not None
    assert observed.waiting.reason == reason


def test_a_job_in_a_queue_says_so() -> None:
    observed = observed_job(a_job(suspend=True, labels={"kueue.x-k8s.io/queue-name": "gpu"}), [], HASH)
    assert observed is not None
    assert observed.waiting is not None
    assert observed.waiting.reason == "Queued"


def test_the_hash_is_recognised_although_a_label_is_too_short_for_it() -> None:
    observed = observed_job(a_job({"type": "Complete", "status": "True"}), [], HASH)
    assert observed is not None
    assert (observed.input_hash, observed.state, observed.attempt) == (HASH, "Succeeded", 2)


def test_a_job_of_somebody_else_is_ignored() -> None:
    assert observed_job(a_job(labels={"voice.sovits.dev/stage": "bake"}), [], HASH) is None
