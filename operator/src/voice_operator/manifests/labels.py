"""Labels, annotations and owner references of all children. Selectors use labels of our own group only."""

from typing import Any

from voice_operator import __version__
from voice_operator.api.schema import API_VERSION, GROUP

VOICE_MODEL = f"{GROUP}/voice-model"
REVISION = f"{GROUP}/revision"
STAGE = f"{GROUP}/stage"
ATTEMPT = f"{GROUP}/attempt"
COPY = f"{GROUP}/copy"  # of Jobs that are no stage: where they copy a revision to
INPUT_HASH = f"{GROUP}/input-hash"  # its first 63 digits: a label holds no more
EVALUATION_HASH = f"{GROUP}/evaluation-hash"  # an annotation: nothing selects by it
SERVER = f"{GROUP}/server"
CAPACITY = f"{GROUP}/capacity"  # of nodes (spot), and of Jobs: what spec.compute.capacity led to
REQUESTED_BY = f"{GROUP}/requested-by"  # annotation of a voice: who changed its spec; admission compares
REVOKED = f"{GROUP}/revoked"  # label of a VoiceRevision: its consent was revoked; survives the loss of statuses
LIST_GENERATION = f"{GROUP}/list-generation"  # annotation of a pod: writing it makes its kubelet look at its volumes
RETRY = f"{GROUP}/retry"  # annotation of a voice: any new value asks for another attempt
SEAL = f"{GROUP}/seal"  # annotation of a VoiceRevision: the installation's signature
TEMPLATE_HASH = f"{GROUP}/template-hash"  # annotation of a Job
QUEUE_NAME = "kueue.x-k8s.io/queue-name"
PRIORITY_CLASS = "kueue.x-k8s.io/priority-class"
SUSPENDED = f"{GROUP}/suspended"  # annotation of a Job or its Workload: spec.suspend stopped it, and its end resumes it
MANAGED_BY = "voice-operator"

LABEL_LENGTH = 63


def recommended(*, name: str, instance: str, component: str) -> dict[str, str]:
    """Return the app.kubernetes.io labels."""
    return {
        "app.kubernetes.io/name": name,
        "app.kubernetes.io/instance": instance,
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/part-of": "voice-operator",
        "app.kubernetes.io/managed-by": MANAGED_BY,
        "app.kubernetes.io/version": __version__,
    }


def owner(kind: str, name: str, uid: str) -> list[dict[str, Any]]:
    """Return the owner reference of a child; the child goes when its owner goes, and never holds it up."""
    return [
        {
            "apiVersion": API_VERSION,
            "kind": kind,
            "name": name,
            "uid": uid,
            "controller": True,
            "blockOwnerDeletion": False,
        }
    ]
