"""The Job of one attempt of a stage: placement, limits, and the pod failure policy."""

import re
from typing import Any

from voice_operator.api.voice_model import Compute
from voice_operator.api.voice_status import StageName
from voice_operator.manifests import labels
from voice_operator.manifests.job_document import FILE
from voice_operator.manifests.pod import (
    container_security,
    image,
    pod_security,
    pull_secrets,
    scratch,
    service_account,
    store_credentials,
    store_environment,
    variables,
)
from voice_operator.reconcile.effects import StartJob
from voice_operator.reconcile.hashing import evaluation_hash
from voice_operator.reconcile.names import document_name, job_name, revision_name
from voice_operator.reconcile.observed import Voice
from voice_operator.reconcile.stages import OUT_OF_MEMORY_EXIT, PERMANENT_EXITS, TRANSIENT_EXIT
from voice_operator.settings import Settings, StagePlacement

CONTAINER = "stage"
FOLDER = "/etc/voice"
STEPS: dict[StageName, str] = {"prepare": "prepare", "train": "features,train", "evaluate": "evaluate,publish"}
GPU_STAGES: tuple[StageName, ...] = ("train", "evaluate")
GPU = "nvidia.com/gpu"

TTL_SECONDS = 3600  # TTL of a finished Job, long enough for its outcome to be observed
GRACE_SECONDS = 25  # spot nodes give less; checkpoints are in the object store before that

ENVIRONMENT = {
    "VOICE_TERMINATION_LOG": "/dev/termination-log",
    "VOICE_SCRATCH": "/work",
    "HOME": "/tmp",  # noqa: S108 -- inside the container, an emptyDir of its own
    "TMPDIR": "/work",
}

_DURATION = re.compile(r"^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$")


def stage_job(voice: Voice, start: StartJob, input_hash: str, settings: Settings) -> dict[str, Any]:
    """Return the Job. Its name follows from voice, input, stage and attempt, so it cannot exist twice."""
    stage: StagePlacement = getattr(settings.stages, start.stage)
    job_labels = _labels(voice, start, input_hash)
    queue = {labels.QUEUE_NAME: voice.spec.compute.queue_name} if voice.spec.compute.queue_name else {}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_name(voice.name, input_hash, start.stage, start.attempt),
            "namespace": voice.namespace,
            "labels": job_labels | queue,
            "annotations": _annotations(voice, start),
            "ownerReferences": labels.owner("VoiceModel", voice.name, voice.uid),
        },
        "spec": {
            "backoffLimit": 0,  # the operator makes the attempts: it can change the batch between them
            "podReplacementPolicy": "Failed",  # one writer per workspace
            "podFailurePolicy": _pod_failure_policy(),
            "activeDeadlineSeconds": seconds(voice.spec.compute.timeout),
            "ttlSecondsAfterFinished": TTL_SECONDS,
            "template": {
                "metadata": {"labels": job_labels, "annotations": _no_eviction()},
                "spec": _pod(voice, start, input_hash, settings, stage),
            },
        },
    }


def seconds(duration: str) -> int:
    """Return the length of 12h, 90m or 1h30m in seconds.

    Raises:
        ValueError: ``duration`` has another form.
    """
    match = _DURATION.match(duration)
    if match is None or not duration:
        raise ValueError(f"{duration!r} is no duration such as 12h, 90m or 1h30m")
    hours, minutes, rest = (int(part or 0) for part in match.groups())
    return (hours * 60 + minutes) * 60 + rest


def _labels(voice: Voice, start: StartJob, input_hash: str) -> dict[str, str]:
    return labels.recommended(name="voicemodel", instance=voice.name, component=start.stage) | {
        labels.VOICE_MODEL: voice.name,
        labels.REVISION: revision_name(voice.name, input_hash),
        labels.STAGE: start.stage,
        labels.ATTEMPT: str(start.attempt),
        labels.INPUT_HASH: input_hash[: labels.LABEL_LENGTH],
    }


def _annotations(voice: Voice, start: StartJob) -> dict[str, str]:
    """Return which gates and sentences the Job was given: prepare checks them, evaluate uses them."""
    return {labels.EVALUATION_HASH: evaluation_hash(voice.spec.evaluation)} if start.stage != "train" else {}


def _pod(voice: Voice, start: StartJob, input_hash: str, settings: Settings, stage: StagePlacement) -> dict[str, Any]:
    gpus = voice.spec.compute.gpus if start.stage in GPU_STAGES else 0
    return {
        "restartPolicy": "Never",
        **service_account(settings.stages.service_account_name),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "securityContext": pod_security(),
        "containers": [
            {
                "name": CONTAINER,
                **image(settings, settings.images.trainer),
                "args": ["run", "--job", f"{FOLDER}/{FILE}", "--stages", STEPS[start.stage]],
                "env": variables(ENVIRONMENT | store_environment(settings, FOLDER)),
                **store_credentials(settings),
                "resources": _resources(stage, gpus),
                "securityContext": container_security(),
                "terminationMessagePolicy": "FallbackToLogsOnError",
                "volumeMounts": [
                    {"name": "job", "mountPath": FOLDER, "readOnly": True},
                    {"name": "work", "mountPath": "/work"},
                    {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 -- as above
                ],
            }
        ],
        "volumes": [
            {"name": "job", "configMap": {"name": document_name(voice.name, input_hash, start.stage)}},
            scratch("work", stage.scratch),
            scratch("tmp", "1Gi"),
        ],
        **pull_secrets(settings),
        **_placement(voice.spec.compute, stage, gpus),
    }


def _resources(stage: StagePlacement, gpus: int) -> dict[str, Any]:
    resources = {kind: dict(values) for kind, values in stage.resources.items()}
    if gpus:
        resources.setdefault("limits", {})[GPU] = str(gpus)
    return resources


def _placement(compute: Compute, stage: StagePlacement, gpus: int) -> dict[str, Any]:
    """Return node selector, tolerations and affinity: GPU nodes are tainted, spot nodes labelled and tainted."""
    selector = dict(stage.node_selector)
    tolerations = list(stage.tolerations)
    affinity: dict[str, Any] = {}
    if gpus:
        tolerations.append({"key": GPU, "operator": "Exists", "effect": "NoSchedule"})
        if compute.capacity != "OnDemand":
            tolerations.append({"key": labels.CAPACITY, "operator": "Equal", "value": "spot", "effect": "NoSchedule"})
        on_spot = {"matchExpressions": [{"key": labels.CAPACITY, "operator": "In", "values": ["spot"]}]}
        off_spot = {"matchExpressions": [{"key": labels.CAPACITY, "operator": "NotIn", "values": ["spot"]}]}
        required, preferred = (f"{kind}DuringSchedulingIgnoredDuringExecution" for kind in ("required", "preferred"))
        by_capacity: dict[str, dict[str, Any]] = {
            "Spot": {required: {"nodeSelectorTerms": [on_spot]}},
            "SpotThenOnDemand": {preferred: [{"weight": 100, "preference": on_spot}]},
            "OnDemand": {required: {"nodeSelectorTerms": [off_spot]}},
        }
        affinity = by_capacity[compute.capacity]
    placement: dict[str, Any] = {"nodeSelector": selector} if selector else {}
    if tolerations:
        placement["tolerations"] = tolerations
    if affinity:
        placement["affinity"] = {"nodeAffinity": affinity}
    return placement


def _pod_failure_policy() -> dict[str, Any]:
    """Return the pod failure policy. 137 is in no rule: it may be a lost node as well as the OOM killer."""
    exits: dict[str, Any] = {"containerName": CONTAINER, "operator": "In"}
    return {
        "rules": [
            {"action": "FailJob", "onExitCodes": exits | {"values": list(PERMANENT_EXITS)}},
            {"action": "FailJob", "onExitCodes": exits | {"values": [OUT_OF_MEMORY_EXIT]}},
            {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
            {"action": "Count", "onExitCodes": exits | {"values": [TRANSIENT_EXIT]}},
        ]
    }


def _no_eviction() -> dict[str, str]:
    """Return the annotations that keep autoscalers from evicting a running stage."""
    return {"karpenter.sh/do-not-disrupt": "true", "cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}
