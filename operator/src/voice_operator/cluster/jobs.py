"""Reads a Job and its pods: running, waiting (and why), succeeded or failed (and why)."""

import re
from collections.abc import Iterable
from typing import Any, cast

from voice_operator.api.voice_status import STAGES, StageName
from voice_operator.cluster.kube import Object
from voice_operator.documents import FailureDocument
from voice_operator.errors import InvalidDocument
from voice_operator.manifests import labels
from voice_operator.manifests.stage_job import CONTAINER
from voice_operator.reconcile.observed import JobFailure, ObservedJob, Problem

_EXIT_CODE = re.compile(r"exit code (\d{1,3})\b")
_IMAGE_TROUBLE = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"}


def observed_job(job: Object, pods: Iterable[Object], input_hash: str | None) -> ObservedJob | None:
    """Read a stage Job; None for a Job that has our label but is no stage Job."""
    job_labels = job["metadata"].get("labels") or {}
    stage, attempt = job_labels.get(labels.STAGE), str(job_labels.get(labels.ATTEMPT, ""))
    if stage not in STAGES or not attempt.isdecimal():
        return None
    hash_label = job_labels.get(labels.INPUT_HASH, "")
    pods = list(pods)
    spec, status = job.get("spec") or {}, job.get("status") or {}
    annotations = job["metadata"].get("annotations") or {}
    conditions = {
        condition["type"]: condition
        for condition in status.get("conditions") or ()
        if condition.get("status") == "True"
    }
    suspended, queued = bool(spec.get("suspend")), labels.QUEUE_NAME in job_labels
    observed = ObservedJob(
        name=job["metadata"]["name"],
        stage=cast("StageName", stage),
        attempt=int(attempt),
        input_hash=input_hash if input_hash and hash_label == input_hash[: labels.LABEL_LENGTH] else hash_label,
        evaluation_hash=annotations.get(labels.EVALUATION_HASH, ""),
        suspended=suspended,
        queued=queued,
        started_at=status.get("startTime"),
    )
    if "Complete" in conditions:
        return _with(observed, state="Succeeded")
    if "Failed" in conditions:
        return _with(observed, state="Failed", failure=_failure(conditions["Failed"], pods))
    if suspended and queued:
        return _with(observed, waiting=Problem("Queued", "the Job waits in its queue"))
    return _with(observed, waiting=_waiting(pods))


def _with(observed: ObservedJob, **changes: Any) -> ObservedJob:
    return ObservedJob(**(vars(observed) | changes))


def _failure(condition: Object, pods: list[Object]) -> JobFailure:
    """Read the trainer's termination message; where the pod is gone, the Job's own condition."""
    message = str(condition.get("message", ""))[:1000]
    if condition.get("reason") == "DeadlineExceeded":
        return JobFailure("DeadlineExceeded", "the stage ran longer than spec.compute.timeout", deadline=True)
    terminated = _last_termination(pods)
    if terminated is None:
        match = _EXIT_CODE.search(message)
        reason = str(condition.get("reason") or "JobFailed")
        return JobFailure(reason, message or "the Job failed", exit_code=int(match.group(1)) if match else None)
    exit_code = int(terminated.get("exitCode", 1))
    termination = str(terminated.get("message") or "")
    try:
        document = FailureDocument.read(
            termination.strip().splitlines()[-1] if termination.strip() else "", "termination message"
        )
    except InvalidDocument:
        if terminated.get("reason") == "OOMKilled":
            return JobFailure("OutOfHostMemory", "the container used more memory than its limit", exit_code)
        tail = f": {termination.strip()[-500:]}" if termination.strip() else ""
        return JobFailure("UnknownExit", f"the container ended with exit code {exit_code}{tail}", exit_code)
    return JobFailure(document.reason, document.message, exit_code)


def _last_termination(pods: list[Object]) -> Object | None:
    ends = [
        status["state"]["terminated"] for status in _containers(pods) if "terminated" in (status.get("state") or {})
    ]
    return max(ends, key=lambda end: str(end.get("finishedAt", "")), default=None)


def _waiting(pods: list[Object]) -> Problem | None:
    """Return why a pod does not run, where a person can do something about it or wants to know."""
    for status in _containers(pods):
        waiting = (status.get("state") or {}).get("waiting") or {}
        reason, message = str(waiting.get("reason", "")), str(waiting.get("message", ""))[:500]
        if reason == "CreateContainerConfigError":
            missing_secret = message.startswith("secret ") and "not found" in message
            return Problem(
                "SecretNotFound" if missing_secret else "ContainerConfigInvalid", f"{message} in the voice's namespace"
            )
        if reason in _IMAGE_TROUBLE:
            return Problem("ImageNotAvailable", f"{status.get('image')}: {message or reason}")
    for pod in pods:
        for condition in (pod.get("status") or {}).get("conditions") or ():
            if condition.get("type") == "PodScheduled" and condition.get("reason") == "Unschedulable":
                return Problem("WaitingForNode", str(condition.get("message", ""))[:500])
    return None


def _containers(pods: list[Object]) -> list[Object]:
    statuses = [status for pod in pods for status in (pod.get("status") or {}).get("containerStatuses") or ()]
    return [status for status in statuses if status.get("name") == CONTAINER]
