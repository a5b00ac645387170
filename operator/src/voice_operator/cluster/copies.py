"""Reads the Jobs that copy a voice to the Hub."""

from voice_operator.cluster.failed import failure_of
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
        name = job["metadata"]["name"]
        if true_condition(job, "Complete"):
            found.append(ObservedCopy(name, "Copied"))
        elif failed := true_condition(job, "Failed"):
            pods = list(cluster.caches.pods_of_job(voice.namespace, name))
            found.append(ObservedCopy(name, "Failed", failure_of(job, failed, pods).message))
        elif not is_deleting(job):
            found.append(ObservedCopy(name, "Copying"))
    return tuple(found)
