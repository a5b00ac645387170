"""Reads the Jobs that copy a voice to the Hub, and withdraw it from there."""

from voice_operator.cluster.failed import failure_of
from voice_operator.cluster.kube import Object
from voice_operator.cluster.objects import is_deleting, is_owned_by
from voice_operator.cluster.observe import Cluster
from voice_operator.cluster.pods import true_condition
from voice_operator.manifests.labels import COPY
from voice_operator.reconcile.observed import ObservedCopy, Voice


def observed_copies(cluster: Cluster, voice: Voice) -> tuple[ObservedCopy, ...]:
    """Return the copies that run or have ended, as long as their Jobs are there."""
    found = []
    for job in cluster.caches.jobs_of(voice.namespace, voice.name):
        if COPY not in (job["metadata"].get("labels") or {}) or not is_owned_by(job, voice.uid):
            continue
        found.append(copy_state(cluster, voice.namespace, job))
    return tuple(found)


def copy_state(cluster: Cluster, namespace: str, job: Object) -> ObservedCopy:
    """Return what became of one such Job."""
    name = job["metadata"]["name"]
    if true_condition(job, "Complete"):
        return ObservedCopy(name, "Succeeded")
    if failed := true_condition(job, "Failed"):
        return ObservedCopy(
            name, "Failed", failure_of(job, failed, cluster.caches.pods_of_job(namespace, name)).message
        )
    return ObservedCopy(name, "Deleting" if is_deleting(job) else "Running")
