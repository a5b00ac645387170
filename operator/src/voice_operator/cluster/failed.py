"""Why a Job failed: the trainer's termination message, else what Kubernetes says of the pod and of the Job."""

import re

from voice_operator.cluster.kube import Object
from voice_operator.cluster.pods import containers, created, phase, sentence, status_of, true_condition
from voice_operator.documents import FailureDocument
from voice_operator.errors import InvalidDocument
from voice_operator.manifests.stage_job import CONTAINER
from voice_operator.masking import masked
from voice_operator.reconcile.failures import PERMANENT_EXITS
from voice_operator.reconcile.observed import JobFailure

DISRUPTION = "DisruptionTarget"
MAX_LOG_TAIL = 500  # characters

_EXIT_CODE = re.compile(r"exit code (\d{1,3})\b")
_REASON = re.compile(r"^[A-Za-z][A-Za-z0-9]{0,127}$")


def failure_of(job: Object, failed: Object, pods: list[Object]) -> JobFailure:
    """Return the failure of a Job whose condition Failed is ``failed``; its pods may be gone."""
    pod = max((pod for pod in pods if phase(pod) == "Failed"), key=created, default=None)
    end = _last_termination(pods)
    exit_code = None if end is None else int(end.get("exitCode", 1))
    if exit_code not in PERMANENT_EXITS and (ended := _ended_by_kubernetes(failed, pod, exit_code)):
        return ended
    if end is None or exit_code is None:
        return _from_condition(failed)
    if end.get("reason") == "OOMKilled":
        limit = _memory_limit(job)
        message = f"the container used more memory than its limit{f' of {limit}' if limit else ''}"
        return JobFailure("OutOfHostMemory", message, exit_code, cause="OutOfHostMemory")
    return _from_termination(str(end.get("message") or ""), exit_code)


def report_of(pods: list[Object]) -> str:
    """Return the termination message of the pod that succeeded; empty: it is gone, or said nothing."""
    ended = ((status.get("state") or {}).get("terminated") for status in containers(pods))
    return next((str(end.get("message") or "") for end in ended if end and end.get("exitCode") == 0), "")


def _ended_by_kubernetes(failed: Object, pod: Object | None, exit_code: int | None) -> JobFailure | None:
    """Return why something else than the trainer ended the pod: its deadline, a lost node, an eviction."""
    status = {} if pod is None else status_of(pod)
    if "DeadlineExceeded" in {status.get("reason"), failed.get("reason")}:
        message = "the stage ran longer than spec.compute.timeout"
        return JobFailure("DeadlineExceeded", message, exit_code, cause="DeadlineExceeded")
    disruption = None if pod is None else true_condition(pod, DISRUPTION)
    if pod is not None and disruption is not None:
        words = sentence(status.get("message") or disruption.get("message"))
        message = f"the pod lost its node ({disruption.get('reason')}): {words}"
        return JobFailure("Preempted", message, exit_code, cause="Preemption")
    if pod is None and f"has condition {DISRUPTION}" in str(failed.get("message")):
        return JobFailure("Preempted", sentence(failed.get("message")), exit_code, cause="Preemption")
    if reason := status.get("reason"):
        return JobFailure(_reason(reason, "PodFailed"), sentence(status.get("message")) or str(reason), exit_code)
    return None


def _from_condition(failed: Object) -> JobFailure:
    message = sentence(failed.get("message"))
    match = _EXIT_CODE.search(message)
    exit_code = int(match.group(1)) if match else None
    return JobFailure(_reason(failed.get("reason"), "JobFailed"), message or "the Job failed", exit_code)


def _from_termination(message: str, exit_code: int) -> JobFailure:
    message = message.strip()
    try:
        document = FailureDocument.read(message.splitlines()[-1] if message else "", "termination message")
    except InvalidDocument:
        tail = masked(message)[-MAX_LOG_TAIL:]
        return JobFailure(
            "UnknownExit", f"the container ended with exit code {exit_code}{f': {tail}' if tail else ''}", exit_code
        )
    return JobFailure(document.reason, masked(document.message), exit_code)


def _reason(given: object, default: str) -> str:
    return str(given) if _REASON.match(str(given or "")) else default


def _memory_limit(job: Object) -> str | None:
    for container in job["spec"]["template"]["spec"]["containers"]:
        if container["name"] == CONTAINER:
            limit: str | None = ((container.get("resources") or {}).get("limits") or {}).get("memory")
            return limit
    return None


def _last_termination(pods: list[Object]) -> Object | None:
    ends = [status["state"]["terminated"] for status in containers(pods) if "terminated" in (status.get("state") or {})]
    return max(ends, key=lambda end: str(end.get("finishedAt", "")), default=None)
