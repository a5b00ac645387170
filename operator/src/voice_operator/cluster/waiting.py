"""Why a Job's pod does not run, in Kubernetes' own sentence: its status says most of it, Events the rest."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime

from voice_operator.cluster.kube import Object
from voice_operator.cluster.pods import age, condition, containers, created, moment, phase, seconds_since, sentence
from voice_operator.reconcile.observed import Problem

NO_POD_SECONDS = 5.0  # the Job controller makes a pod within a second
NOT_STARTED_SECONDS = 15.0  # mounts and sandboxes take less; pulls say so themselves
POD_DELETION_SECONDS = 60.0  # beyond its grace period, which the deletion's time includes

_MISSING_SECRET = re.compile(r'secret "[^"]{1,253}" not found')
_STARTING = {"", "ContainerCreating", "PodInitializing"}
_IMAGE_TROUBLE = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"}
_VOLUME_TROUBLE = {"FailedMount", "FailedAttachVolume", "FailedMapVolume"}


def waiting_for(pods: list[Object], events: Iterable[Object], now: datetime) -> Problem | None:
    """Return why an unfinished Job's pod does not run, where a person can help or wants to know.

    ``events`` are those of the object that ``unexplained`` names.
    """
    pod = newest(pods)
    trouble = _last_trouble(events)
    if pod is None:
        return Problem("PodNotCreated", sentence(trouble.get("note"))) if trouble else None
    deleted = pod["metadata"].get("deletionTimestamp")
    if deleted and seconds_since(deleted, now) > POD_DELETION_SECONDS:
        node = (pod.get("spec") or {}).get("nodeName") or "none"
        name = pod["metadata"]["name"]
        return Problem("PodDeleting", f"pod {name} should have been gone at {deleted}; its node {node} may be lost")
    if trouble:
        return _of_event(trouble)
    return _of_container(pod) or _of_scheduler(pod)


def unexplained(job: Object, pods: list[Object], now: datetime) -> Object | None:
    """Return the object whose Events may tell why nothing runs: a Job without a pod, or a pod that does not start."""
    return _silent(job, pods) if until_unexplained(job, pods, now) == 0 else None


def until_unexplained(job: Object, pods: list[Object], now: datetime) -> float | None:
    """Return the seconds until a silence becomes suspicious; 0: it is; None: nothing is silent."""
    silent = _silent(job, pods)
    if silent is None:
        return None
    if silent is job:
        return max(NO_POD_SECONDS - age(job, now), 0.0)
    scheduled = condition(silent, "PodScheduled") or {}
    since = scheduled.get("lastTransitionTime") or silent["metadata"].get("creationTimestamp")
    return max(NOT_STARTED_SECONDS - seconds_since(since, now), 0.0)


def unscheduled_since(pods: list[Object]) -> datetime | None:
    """Return since when the newest pod waits for a node; a pod with scheduling gates waits for something else."""
    pod = newest(pods)
    if pod is None or phase(pod) != "Pending" or (pod.get("spec") or {}).get("nodeName"):
        return None
    scheduled = condition(pod, "PodScheduled") or {}
    if scheduled.get("reason") == "SchedulingGated":
        return None
    return moment(scheduled.get("lastTransitionTime") or pod["metadata"].get("creationTimestamp"))


def newest(pods: list[Object]) -> Object | None:
    """Return the pod that was made last."""
    return max(pods, key=created, default=None)


def _silent(job: Object, pods: list[Object]) -> Object | None:
    """Return what gives no reason of its own: a Job that has no pod, or a pod that has a node and does not start."""
    pod = newest(pods)
    if pod is None:
        return None if job["spec"].get("suspend") else job
    bound = bool((pod.get("spec") or {}).get("nodeName"))
    reasons = {_waiting(status).get("reason", "") for status in containers((pod,))} or {""}
    return pod if phase(pod) == "Pending" and bound and reasons <= _STARTING else None


def _of_event(trouble: Object) -> Problem:
    note = sentence(trouble.get("note"))
    if trouble.get("reason") not in _VOLUME_TROUBLE:
        return Problem("PodNotStarted", note)
    if secret := _MISSING_SECRET.search(note):
        return Problem("SecretNotFound", f"{secret[0]} in the voice's namespace")
    return Problem("VolumeNotMounted", note)


def _of_container(pod: Object) -> Problem | None:
    for status in containers((pod,)):
        waiting = _waiting(status)
        reason, message = str(waiting.get("reason") or ""), sentence(waiting.get("message"))
        if reason == "CreateContainerConfigError":
            missing_secret = message.startswith("secret ") and "not found" in message
            return Problem(
                "SecretNotFound" if missing_secret else "ContainerConfigInvalid", f"{message} in the voice's namespace"
            )
        if reason in _IMAGE_TROUBLE:
            return Problem("ImageNotAvailable", f"{status.get('image')}: {message or reason}")
        if reason not in _STARTING:
            return Problem("ContainerNotStarted", f"{reason}: {message}" if message else reason)
    return None


def _of_scheduler(pod: Object) -> Problem | None:
    scheduled = condition(pod, "PodScheduled") or {}
    if scheduled.get("status") != "False":
        return None
    reason = "SchedulingGated" if scheduled.get("reason") == "SchedulingGated" else "WaitingForNode"
    return Problem(reason, sentence(scheduled.get("message")))


def _waiting(status: Object) -> Object:
    waiting: Object = (status.get("state") or {}).get("waiting") or {}
    return waiting


def _last_trouble(events: Iterable[Object]) -> Object | None:
    """Return the newest Event if it is a warning: an older one may have been overcome."""
    last = max(events, key=_last_seen, default=None)
    return last if last is not None and last.get("type") == "Warning" else None


def _last_seen(event: Object) -> datetime:
    series = event.get("series") or {}
    times = (series.get("lastObservedTime"), event.get("deprecatedLastTimestamp"), event.get("eventTime"))
    found = [time for time in map(moment, times) if time is not None]
    return max(found) if found else datetime.min.replace(tzinfo=UTC)
