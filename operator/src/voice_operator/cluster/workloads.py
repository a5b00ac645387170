"""What Kueue says of a Job in its Workload: why it waits, its place in the queue, and why it was evicted."""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from operator import itemgetter

from voice_operator.cluster.kube import Object
from voice_operator.cluster.pods import condition, created, moment, sentence, status_of, true_condition
from voice_operator.manifests.labels import SUSPENDED, VOICE_MODEL
from voice_operator.reconcile.observed import ObservedWorkload, Problem

JOB_UID = "kueue.x-k8s.io/job-uid"  # label of the Workloads that Kueue made for a Job or its like
MAX_PLACE = 20  # told exactly; beyond, each admission would change the status of everybody behind it
# Kueue's own default orders those that it evicted for these reasons by their eviction, all others by their creation.
_REQUEUED_BY_EVICTION = {"PodsReadyTimeout", "AdmissionCheck"}
_BLOCKED = {"Inadmissible", "AdmissionGated"}  # reasons of QuotaReserved where waiting alone does not help
_MAX_ENTRIES = 16  # conditions and admission checks of one Workload
_MAX_TEXT = 2000  # characters of each


@dataclass(frozen=True)
class QueueState:
    """What Kueue says of a Job: its Workload, and its number among those of its LocalQueue that wait."""

    workload: Object | None = None  # None: there is none
    number: int = 0  # the first one is 1


def lean_workload(item: Object, _: Object | None = None) -> Object:
    """Reduce a Workload to what is read of it: without its pod templates, which are nearly all of it.

    Those of everybody are kept, since all have a place in the queue (``order``). The label of the voice is its pods'.
    """
    metadata, spec, status = item["metadata"], item.get("spec") or {}, status_of(item)
    owner: Object = next((one for one in metadata.get("ownerReferences") or () if one.get("controller")), {})
    labels = {JOB_UID: str(owner.get("uid", ""))} if owner.get("kind") == "Job" else {}
    if voice := _label_of_pods(spec, VOICE_MODEL):
        labels[VOICE_MODEL] = voice
    held = (metadata.get("annotations") or {}).get(SUSPENDED)
    kept = ("namespace", "name", "resourceVersion", "creationTimestamp")
    lean: Object = {
        "metadata": {key: metadata[key] for key in kept if key in metadata}
        | {"labels": labels, "annotations": {SUSPENDED: held} if held else {}},
        "spec": {"active": spec.get("active"), "queueName": spec.get("queueName"), "priority": spec.get("priority")},
        "status": {
            "conditions": _texts(status.get("conditions"), ("type", "status", "reason", "message")),
            "admissionChecks": _texts(status.get("admissionChecks"), ("name", "state", "message")),
        },
    }
    return lean | {"order": _order(lean)}


def observed_workload(workload: Object) -> ObservedWorkload:
    """Return what decisions need of a Job's Workload."""
    evicted = _eviction(workload)
    return ObservedWorkload(
        workload["metadata"]["name"],
        active=_is_active(workload),
        held=_is_held(workload),
        eviction=None if evicted is None else Problem(_reason(evicted), _said(evicted)),
        evicted_at=None if evicted is None else moment(evicted.get("lastTransitionTime")),
    )


def place(workload: Object, queue: Iterable[Object]) -> int:
    """Return its number among those of its LocalQueue that wait, as Kueue orders them: by priority, then by age."""
    own = workload["order"]
    return 0 if own is None else 1 + sum(one["order"] < own for one in _waiting(queue))


def moved(old: Object | None, new: Object | None, queue: Iterable[Object]) -> list[Object]:
    """Return those of the LocalQueue whose place, as far as it is told, changes with a Workload that came or went."""
    places = [None if one is None else one["order"] for one in (old, new)]
    if places[0] == places[1]:
        return []
    first = min(found for found in places if found is not None)
    told = heapq.nsmallest(MAX_PLACE + 1, _waiting(queue), key=itemgetter("order"))
    return [one for one in told if one["order"] > first]


def why_waiting(workload: Object, number: int) -> Problem | None:
    """Return why Kueue does not let the Job run; None: it does. ``number`` is its place."""
    if not _is_active(workload):
        return _inactive(workload)
    if true_condition(workload, "Admitted"):
        return None
    if true_condition(workload, "QuotaReserved"):
        return Problem("AdmissionPending", f"quota is reserved; admission checks: {_checks(workload) or 'none yet'}")
    return _pending(workload, number)


def _inactive(workload: Object) -> Problem:
    """Return why Kueue does not queue it, and how it does again."""
    if _is_held(workload):
        return Problem("Queued", "Kueue is told to queue the Job again")
    evicted = true_condition(workload, "Evicted")
    said = "" if evicted is None else f" ({_said(evicted)})"
    name, namespace = workload["metadata"]["name"], workload["metadata"]["namespace"]
    activate = f'kubectl patch workload {name} -n {namespace} --type merge -p \'{{"spec":{{"active":true}}}}\''
    message = f"Workload {name} is inactive{said}, so Kueue does not queue it; to queue it again: {activate}"
    return Problem("WorkloadInactive", message)


def _pending(workload: Object, number: int) -> Problem:
    """Return what it waits for, with Kueue's own sentence."""
    found = condition(workload, "QuotaReserved") or {}
    words, queue = sentence(found.get("message")), workload["spec"]["queueName"]
    if not queue:
        return Problem("Inadmissible", "Kueue manages the Job, and no queue is named; set spec.compute.queueName")
    blocked, evicted = found.get("reason") in _BLOCKED, _eviction(workload)
    ahead = f"number {number}" if number <= MAX_PLACE else f"behind more than {MAX_PLACE} others"
    waits = f"LocalQueue {queue}" if blocked else f"{ahead} in LocalQueue {queue}"
    if evicted is not None:
        return Problem(_reason(evicted), f"{_said(evicted)}; it waits again, {waits}{f': {words}' if blocked else ''}")
    return Problem("Inadmissible" if blocked else "Queued", f"{waits}: {words}" if words else waits)


def _eviction(workload: Object) -> Object | None:
    """Return the condition by which Kueue took the quota away; a Workload that was inactive is told otherwise."""
    evicted = true_condition(workload, "Evicted")
    return None if evicted is None or str(evicted.get("reason")).startswith("Deactivated") else evicted


def _reason(evicted: Object) -> str:
    return "PreemptedByKueue" if evicted.get("reason") == "Preempted" else "EvictedByKueue"


def _said(evicted: Object) -> str:
    return f"Kueue evicted it ({evicted.get('reason')}): {sentence(evicted.get('message'))}"


def _waiting(queue: Iterable[Object]) -> Iterator[Object]:
    return (one for one in queue if one["order"] is not None)


def _order(workload: Object) -> tuple[int, str, str] | None:
    """Return what orders it in its LocalQueue; None: it does not wait."""
    if not _is_active(workload) or true_condition(workload, "Finished") or true_condition(workload, "QuotaReserved"):
        return None
    evicted = true_condition(workload, "Evicted") or {}
    requeued = evicted.get("lastTransitionTime") if evicted.get("reason") in _REQUEUED_BY_EVICTION else None
    return -int(workload["spec"].get("priority") or 0), str(requeued or created(workload)), workload["metadata"]["name"]


def _checks(workload: Object) -> str:
    checks = workload["status"]["admissionChecks"]
    return "; ".join(f"{one.get('name')} is {one.get('state')}: {sentence(one.get('message'))}" for one in checks)


def _is_active(workload: Object) -> bool:
    return workload["spec"].get("active") is not False


def _is_held(workload: Object) -> bool:
    return SUSPENDED in workload["metadata"]["annotations"]


def _label_of_pods(spec: Object, name: str) -> str:
    for podset in spec.get("podSets") or ():
        labels = ((podset.get("template") or {}).get("metadata") or {}).get("labels") or {}
        if labels.get(name):
            return str(labels[name])
    return ""


def _texts(entries: Iterable[Object] | None, keys: tuple[str, ...]) -> list[Object]:
    """Return these texts of each entry, and when it became so."""
    kept, found = (*keys, "lastTransitionTime"), list(entries or ())[:_MAX_ENTRIES]
    return [{key: str(one[key])[:_MAX_TEXT] for key in kept if key in one} for one in found]
