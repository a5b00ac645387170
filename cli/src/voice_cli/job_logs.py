"""Whether a Job's pods can have a log to read, and why not; pure."""

from collections.abc import Sequence

from voice_cli.api import Object, name_of
from voice_store.printable import printable

JOB_LABEL = "batch.kubernetes.io/job-name"


def missing_log(job: str, pods: Sequence[Object]) -> str:
    """Return why there is nothing to read, for people; empty: there is a log."""
    if not pods:
        return f"{job} has no pod: it waits for one, or its pod is gone and the log with it"
    newest = max(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp")))
    if (newest.get("status") or {}).get("phase") == "Pending" and not (newest.get("spec") or {}).get("nodeName"):
        return f"{name_of(newest)} waits for a node{_because(_unscheduled(newest))}"
    waiting = _waiting(newest)
    if waiting is not None and len(pods) == 1:
        return f"{name_of(newest)} has not started{_because(waiting)}"
    return ""


def _unscheduled(pod: Object) -> Object:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return next((one for one in conditions if one.get("type") == "PodScheduled"), {})


def _waiting(pod: Object) -> Object | None:
    states = [one.get("state") or {} for one in (pod.get("status") or {}).get("containerStatuses") or ()]
    return next((state["waiting"] for state in states if "waiting" in state), None)


def _because(state: Object) -> str:
    said = ": ".join(str(state[key]) for key in ("reason", "message") if state.get(key))
    return f" ({printable(said)[:500]})" if said else ""
