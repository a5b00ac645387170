"""The Job of one attempt of a stage: placement, limits, and the pod failure policy."""

from fractions import Fraction
from typing import Any

from voice_operator.api.voice_model import Capacity
from voice_operator.api.voice_status import StageName
from voice_operator.manifests import attempt_keys, labels
from voice_operator.manifests.job_document import FILE
from voice_operator.manifests.pod import (
    base_volumes,
    container_security,
    image,
    pod_security,
    pull_secrets,
    recogniser_volume,
    scratch,
    service_account,
    store_environment,
    store_keys,
    variables,
)
from voice_operator.manifests.pod_template import with_template
from voice_operator.reconcile.effects import StartJob
from voice_operator.reconcile.failures import OUT_OF_MEMORY_EXIT, PERMANENT_EXITS, TRANSIENT_EXIT
from voice_operator.reconcile.hashing import digest_of
from voice_operator.reconcile.identity import evaluation_hash_of
from voice_operator.reconcile.names import document_name, job_name, revision_name
from voice_operator.reconcile.observed import JobPolicy, Voice
from voice_operator.settings import Settings, StagePlacement
from voice_operator.units import mebibytes, quantity, seconds

CONTAINER = "stage"
FOLDER = "/etc/voice"
STEPS: dict[StageName, str] = {"prepare": "prepare", "train": "features,train", "evaluate": "evaluate,publish"}
RECOGNISING_STAGES: tuple[StageName, ...] = ("prepare", "evaluate")
GPU_STAGES: tuple[StageName, ...] = ("train", "evaluate")

TEMPLATE_HASH_DIGITS = 16
TTL_SECONDS = 3600  # TTL of a finished Job, long enough for its outcome to be observed
GRACE_SECONDS = 25  # spot nodes give less; checkpoints are in the object store before that

ENVIRONMENT = {
    "VOICE_TERMINATION_LOG": "/dev/termination-log",
    "VOICE_SCRATCH": "/work",
    "HOME": "/tmp",  # noqa: S108 -- inside the container, an emptyDir of its own
    "TMPDIR": "/work",
}


def stage_job(voice: Voice, start: StartJob, input_hash: str, settings: Settings) -> dict[str, Any]:
    """Return the Job. Its name follows from voice, input, stage and attempt, so it cannot exist twice."""
    job_labels = _labels(voice, start, input_hash)
    capacity = _capacity(voice, start)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_name(voice.name, input_hash, start.stage, start.attempt),
            "namespace": voice.namespace,
            "labels": job_labels | _queue(voice) | ({labels.CAPACITY: capacity} if capacity else {}),
            "annotations": _annotations(voice, start, input_hash, settings),
            "ownerReferences": labels.owner("VoiceModel", voice.name, voice.uid),
        },
        "spec": {
            "backoffLimit": 0,  # the operator makes the attempts: it can change the batch between them
            "podReplacementPolicy": "Failed",  # one writer per workspace
            "podFailurePolicy": _pod_failure_policy(),
            "ttlSecondsAfterFinished": TTL_SECONDS,
            "template": _template(voice, start, input_hash, settings),
        },
    }


def job_policy(voice: Voice, stage: StageName, input_hash: str, settings: Settings) -> JobPolicy:
    """Return what decisions need to know of the settings of a stage."""
    placement: StagePlacement = getattr(settings.stages, stage)
    return JobPolicy(
        template_hash=template_hash(voice, stage, input_hash, settings),
        max_memory_factor=placement.max_memory_factor,
        spot_wait=settings.stages.spot_wait_seconds,
    )


def template_hash(voice: Voice, stage: StageName, input_hash: str, settings: Settings) -> str:
    """Return what tells a Job that waits from the one that would be made now, whatever its attempt."""
    first = StartJob(stage, 1)
    template = _template(voice, first, input_hash, settings)
    own = {"labels": _labels(voice, first, input_hash), "annotations": _no_eviction()}
    added = [] if template["metadata"] == own else [template["metadata"]]
    return digest_of([_queue(voice), template["spec"], *added])[:TEMPLATE_HASH_DIGITS]


def _labels(voice: Voice, start: StartJob, input_hash: str) -> dict[str, str]:
    return labels.recommended(name="voicemodel", instance=voice.name, component=start.stage) | {
        labels.VOICE_MODEL: voice.name,
        labels.REVISION: revision_name(voice.name, input_hash),
        labels.STAGE: start.stage,
        labels.ATTEMPT: str(start.attempt),
        labels.INPUT_HASH: input_hash[: labels.LABEL_LENGTH],
    }


def _annotations(voice: Voice, start: StartJob, input_hash: str, settings: Settings) -> dict[str, str]:
    """Return what the Job was made from, and its gates and sentences: prepare checks them, evaluate uses them."""
    made_from = {labels.TEMPLATE_HASH: template_hash(voice, start.stage, input_hash, settings)}
    given = {labels.EVALUATION_HASH: evaluation_hash_of(voice)} if start.stage != "train" else {}
    return made_from | given


def _queue(voice: Voice) -> dict[str, str]:
    """Return what Kueue reads of a Job."""
    compute = voice.spec.compute
    found = {labels.QUEUE_NAME: compute.queue_name, labels.PRIORITY_CLASS: compute.priority_class}
    return {label: name for label, name in found.items() if name}


def _gpus(voice: Voice, stage: StageName) -> int:
    return voice.spec.compute.gpus if stage in GPU_STAGES else 0


def _capacity(voice: Voice, start: StartJob) -> Capacity | None:
    """Return which nodes the attempt asks for; None: any, because it needs no GPU."""
    if not _gpus(voice, start.stage):
        return None
    capacity = voice.spec.compute.capacity
    return "OnDemand" if capacity == "SpotThenOnDemand" and start.on_demand_only else capacity


def _template(voice: Voice, start: StartJob, input_hash: str, settings: Settings) -> dict[str, Any]:
    """Return the pod template: the operator's own, and what the installation adds."""
    stage: StagePlacement = getattr(settings.stages, start.stage)
    template = {
        "metadata": {"labels": _labels(voice, start, input_hash), "annotations": _no_eviction()},
        "spec": _pod(voice, start, input_hash, settings),
    }
    template = with_template(template, settings.stages.pod, CONTAINER, "stages.pod")
    return with_template(template, stage.pod, CONTAINER, f"stages.{start.stage}.pod")


def _pod(voice: Voice, start: StartJob, input_hash: str, settings: Settings) -> dict[str, Any]:
    stage: StagePlacement = getattr(settings.stages, start.stage)
    document = document_name(voice.name, input_hash, start.stage)
    key_volumes, key_mounts = ([], []) if settings.storage.session_keys.enabled else store_keys(settings)
    bases, base_mounts = base_volumes(settings, voice.base)
    recogniser, recogniser_mounts = (
        recogniser_volume(settings, voice.spec.language) if start.stage in RECOGNISING_STAGES else ([], [])
    )
    gpu = settings.stages.gpu
    return {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": seconds(voice.spec.compute.timeout),  # of the pod: a Job's would count its queue time
        **service_account(settings.stages.service_account_name),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "securityContext": pod_security(settings),
        "containers": [
            {
                "name": CONTAINER,
                **image(settings, settings.images.trainer),
                "args": ["run", "--job", f"{FOLDER}/{FILE}", "--stages", STEPS[start.stage]],
                "env": variables(ENVIRONMENT | store_environment(settings, FOLDER) | _session_keys(settings)),
                "resources": _resources(stage, _gpus(voice, start.stage), start.memory_factor, gpu.resource),
                "securityContext": container_security(),
                "terminationMessagePolicy": "FallbackToLogsOnError",
                "volumeMounts": [
                    {"name": "job", "mountPath": FOLDER, "readOnly": True},
                    {"name": "keys", "mountPath": attempt_keys.FOLDER, "readOnly": True},
                    {"name": "work", "mountPath": "/work"},
                    {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 -- as above
                    *key_mounts,
                    *base_mounts,
                    *recogniser_mounts,
                ],
            }
        ],
        "volumes": [
            {"name": "job", "configMap": {"name": document}},
            attempt_keys.keys_volume(document, settings.pod_security.secret_mode),
            scratch("work", stage.scratch),
            scratch("tmp", "1Gi"),
            *key_volumes,
            *bases,
            *recogniser,
        ],
        **pull_secrets(settings),
        **_placement(stage, _capacity(voice, start), gpu.taint),
    }


def _session_keys(settings: Settings) -> dict[str, str]:
    """Return the variables of keys that the operator puts beside the attempt's."""
    return {"VOICE_S3_CREDENTIALS_DIR": attempt_keys.FOLDER} if settings.storage.session_keys.enabled else {}


def _resources(stage: StagePlacement, gpus: int, memory_factor: Fraction, gpu: str) -> dict[str, Any]:
    resources = {kind: dict(values) for kind, values in stage.resources.items()}
    if memory_factor > 1:
        for values in resources.values():
            if "memory" in values:
                values["memory"] = mebibytes(quantity(values["memory"]) * memory_factor)
    if gpus:
        resources.setdefault("limits", {})[gpu] = str(gpus)
    return resources


def _placement(stage: StagePlacement, capacity: Capacity | None, taint: str) -> dict[str, Any]:
    """Return node selector, tolerations and affinity: GPU nodes are tainted, spot nodes labelled and tainted."""
    selector = dict(stage.node_selector)
    tolerations = list(stage.tolerations)
    affinity: dict[str, Any] = {}
    if capacity is not None:
        tolerations.append({"key": taint, "operator": "Exists", "effect": "NoSchedule"})
        if capacity != "OnDemand":
            tolerations.append({"key": labels.CAPACITY, "operator": "Equal", "value": "spot", "effect": "NoSchedule"})
        on_spot = {"matchExpressions": [{"key": labels.CAPACITY, "operator": "In", "values": ["spot"]}]}
        off_spot = {"matchExpressions": [{"key": labels.CAPACITY, "operator": "NotIn", "values": ["spot"]}]}
        required, preferred = (f"{kind}DuringSchedulingIgnoredDuringExecution" for kind in ("required", "preferred"))
        by_capacity: dict[Capacity, dict[str, Any]] = {
            "Spot": {required: {"nodeSelectorTerms": [on_spot]}},
            "SpotThenOnDemand": {preferred: [{"weight": 100, "preference": on_spot}]},
            "OnDemand": {required: {"nodeSelectorTerms": [off_spot]}},
        }
        affinity = by_capacity[capacity]
    placement: dict[str, Any] = {"nodeSelector": selector} if selector else {}
    if tolerations:
        placement["tolerations"] = tolerations
    if affinity:
        placement["affinity"] = {"nodeAffinity": affinity}
    return placement


def _pod_failure_policy() -> dict[str, Any]:
    """Return the pod failure policy. 137 is in no rule: it may be a lost node as well as the OOM killer.

    A disruption fails the Job too: ignored, it would be repeated by the Job controller, uncounted and ever more slowly.
    """
    exits: dict[str, Any] = {"containerName": CONTAINER, "operator": "In"}
    return {
        "rules": [
            {"action": "FailJob", "onExitCodes": exits | {"values": list(PERMANENT_EXITS)}},
            {"action": "FailJob", "onExitCodes": exits | {"values": [OUT_OF_MEMORY_EXIT]}},
            {"action": "FailJob", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
            {"action": "Count", "onExitCodes": exits | {"values": [TRANSIENT_EXIT]}},
        ]
    }


def _no_eviction() -> dict[str, str]:
    """Return the annotations that keep autoscalers from evicting a running stage."""
    return {"karpenter.sh/do-not-disrupt": "true", "cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}
