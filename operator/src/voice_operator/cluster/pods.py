"""Reads parts of Jobs, pods and Events as the API server returns them: times, conditions, containers, sentences."""

from collections.abc import Iterable
from datetime import datetime

from voice_operator.cluster.kube import Object
from voice_operator.manifests.stage_job import CONTAINER
from voice_operator.masking import masked
from voice_operator.reconcile.times import parse
from voice_store.printable import printable

MAX_SENTENCE = 1000  # characters


def sentence(text: object) -> str:
    """Return a message as one printable line without credentials, bounded."""
    return printable(" ".join(masked(str(text or "")).split()))[:MAX_SENTENCE]


def moment(text: object) -> datetime | None:
    """Return a time of the API server; None: it has none."""
    return parse(str(text)) if text else None


def created(item: Object) -> str:
    """Return the creation time; as text, which sorts as times do."""
    return str(item["metadata"].get("creationTimestamp") or "")


def age(item: Object, now: datetime) -> float:
    """Return how old an object is, in seconds."""
    return seconds_since(item["metadata"].get("creationTimestamp"), now)


def seconds_since(time: object, now: datetime) -> float:
    """Return how long a time of the API server is past; 0: it has none."""
    since = moment(time)
    return 0.0 if since is None else (now - since).total_seconds()


def true_condition(item: Object, kind: str) -> Object | None:
    """Return the condition of that type, if its status is True."""
    found = condition(item, kind)
    return found if found is not None and found.get("status") == "True" else None


def condition(item: Object, kind: str) -> Object | None:
    """Return the condition of that type."""
    conditions = status_of(item).get("conditions") or ()
    return next((found for found in conditions if found.get("type") == kind), None)


def phase(pod: Object) -> str:
    """Return a pod's phase."""
    return str(status_of(pod).get("phase") or "Pending")


def status_of(item: Object) -> Object:
    """Return an object's status."""
    status: Object = item.get("status") or {}
    return status


def containers(pods: Iterable[Object]) -> list[Object]:
    """Return the statuses of the stage's container in the pods."""
    statuses = [status for pod in pods for status in status_of(pod).get("containerStatuses") or ()]
    return [status for status in statuses if status.get("name") == CONTAINER]
