"""Which trainings run, in all namespaces that the operator watches."""

from voice_operator.cluster.kube import JOBS, Object
from voice_operator.cluster.observe import Cluster
from voice_operator.manifests.labels import STAGE, VOICE_MODEL
from voice_operator.reconcile.admission import TRAININGS
from voice_operator.reconcile.names import Key


async def running_trainings(cluster: Cluster) -> frozenset[Key]:
    """Return the voices that have an unfinished train or evaluate Job which is not suspended.

    Raises:
        ClusterError: the API server failed.
    """
    scopes: tuple[str | None, ...] = cluster.settings.namespaces or (None,)
    jobs = [
        job
        for scope in scopes
        for stage in TRAININGS
        for job in await cluster.kube.list(JOBS, scope, {STAGE: stage})
        if _is_running(job)
    ]
    return frozenset(_voice_of(job) for job in jobs)


def _is_running(job: Object) -> bool:
    conditions = (job.get("status") or {}).get("conditions") or ()
    finished = any(found["type"] in {"Complete", "Failed"} and found["status"] == "True" for found in conditions)
    return not finished and not (job.get("spec") or {}).get("suspend")


def _voice_of(job: Object) -> Key:
    metadata = job["metadata"]
    return Key("VoiceModel", metadata["namespace"], (metadata.get("labels") or {}).get(VOICE_MODEL, ""))
