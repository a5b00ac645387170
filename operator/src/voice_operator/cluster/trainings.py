"""Which trainings run, in all namespaces that the operator watches."""

from voice_operator.cluster.caches import Caches
from voice_operator.cluster.kube import Object
from voice_operator.manifests.labels import STAGE, VOICE_MODEL
from voice_operator.reconcile.admission import TRAININGS
from voice_operator.reconcile.names import Key


def running_trainings(caches: Caches) -> frozenset[Key]:
    """Return the voices that have an unfinished train or evaluate Job which is not suspended."""
    return frozenset(_voice_of(job) for job in caches.jobs.values() if _is_running_training(job))


def _is_running_training(job: Object) -> bool:
    if (job["metadata"].get("labels") or {}).get(STAGE) not in TRAININGS:
        return False
    conditions = (job.get("status") or {}).get("conditions") or ()
    finished = any(found["type"] in {"Complete", "Failed"} and found["status"] == "True" for found in conditions)
    return not finished and not (job.get("spec") or {}).get("suspend")


def _voice_of(job: Object) -> Key:
    metadata = job["metadata"]
    return Key("VoiceModel", metadata["namespace"], (metadata.get("labels") or {}).get(VOICE_MODEL, ""))
