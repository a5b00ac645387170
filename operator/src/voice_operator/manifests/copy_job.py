"""The Job that copies a bundle to the Hub, or withdraws it: the trainer's image, the namespace's token, no GPU."""

import base64
from collections.abc import Mapping
from typing import Any

from voice_operator.manifests import labels
from voice_operator.manifests.attempt_keys import FOLDER as KEYS_FOLDER
from voice_operator.manifests.attempt_keys import keys_volume
from voice_operator.manifests.pod import (
    container_security,
    image,
    pod_security,
    pull_secrets,
    scratch,
    service_account,
    store_environment,
    store_files,
    store_keys,
    variables,
)
from voice_operator.manifests.pod_template import with_template
from voice_operator.manifests.stage_job import CONTAINER, ENVIRONMENT, FOLDER, TTL_SECONDS
from voice_operator.reconcile.copying import COMPONENT
from voice_operator.reconcile.effects import CopyToHub, WithdrawFromHub
from voice_operator.reconcile.failures import PERMANENT_EXITS
from voice_operator.reconcile.names import revision_uri
from voice_operator.reconcile.observed import Voice, VoiceRef
from voice_operator.settings import Settings

TOKEN_FOLDER = "/etc/voice-hub"  # noqa: S105 -- a folder
TOKEN_KEY = "token"  # noqa: S105 -- the name of a key
HUB = "hub"  # value of the label
TIMEOUT_SECONDS = 3600
RETRIES = 4
RESOURCES = {"requests": {"cpu": "100m", "memory": "512Mi"}, "limits": {"memory": "1Gi"}}


HubEffect = CopyToHub | WithdrawFromHub


def copy_job(voice: VoiceRef, copy: HubEffect, settings: Settings) -> dict[str, Any]:
    """Return the Job. Its name follows from bundle and repository, so it cannot exist twice."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": _metadata(voice, copy),
        "spec": {
            "backoffLimit": RETRIES,
            "podReplacementPolicy": "Failed",  # one writer per repository
            "podFailurePolicy": {
                "rules": [
                    {
                        "action": "FailJob",
                        "onExitCodes": {
                            "containerName": CONTAINER,
                            "operator": "In",
                            "values": list(PERMANENT_EXITS),
                        },
                    },
                    {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                ]
            },
            "ttlSecondsAfterFinished": TTL_SECONDS,  # after it a failed copy is tried again
            "template": with_template(
                {"metadata": {"labels": _labels(voice, copy)}, "spec": _pod(voice, copy, settings)},
                settings.stages.pod,
                CONTAINER,
                "stages.pod",
            ),
        },
    }


def copy_config_map(voice: VoiceRef, copy: HubEffect, settings: Settings) -> dict[str, Any]:
    """Return the ConfigMap with the authorities of the store's certificate."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _metadata(voice, copy),
        "data": store_files(settings),
    }


def copy_secret(voice: Voice, copy: CopyToHub, keys: Mapping[str, str]) -> dict[str, Any]:
    """Return the Secret with keys of the store that read this voice's files, where keys are made for each Job."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": _metadata(voice, copy),
        "data": {name: base64.b64encode(text.encode()).decode() for name, text in keys.items()},
    }


def _metadata(voice: VoiceRef, copy: HubEffect) -> dict[str, Any]:
    metadata = {"name": copy.name, "namespace": voice.namespace, "labels": _labels(voice, copy)}
    if isinstance(copy, WithdrawFromHub) and copy.deleted:
        return metadata
    return metadata | {"ownerReferences": labels.owner("VoiceModel", voice.name, voice.uid)}


def _labels(voice: VoiceRef, copy: HubEffect) -> dict[str, str]:
    known = labels.recommended(name="voicemodel", instance=voice.name, component=COMPONENT)
    revision = {labels.REVISION: copy.revision.name} if isinstance(copy, CopyToHub) else {}
    return known | {labels.VOICE_MODEL: voice.name, labels.COPY: HUB} | revision


def _pod(voice: VoiceRef, copy: HubEffect, settings: Settings) -> dict[str, Any]:
    reads = isinstance(copy, CopyToHub)  # the store
    session_keys = reads and settings.storage.session_keys.enabled
    volumes, mounts = store_keys(settings) if reads and not session_keys else ([], [])
    environment = ENVIRONMENT | {"HF_TOKEN_PATH": f"{TOKEN_FOLDER}/{TOKEN_KEY}"}
    environment |= store_environment(settings, FOLDER) if reads else settings.proxy.environment()
    if session_keys:
        volumes = [keys_volume(copy.name, settings.pod_security.secret_mode)]
        mounts = [{"name": "keys", "mountPath": KEYS_FOLDER, "readOnly": True}]
        environment |= {"VOICE_S3_CREDENTIALS_DIR": KEYS_FOLDER}
    if settings.hub.endpoint:
        environment |= {"HF_ENDPOINT": settings.hub.endpoint}
    token = {"secretName": settings.hub.token_secret, "defaultMode": settings.pod_security.secret_mode}
    return {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": TIMEOUT_SECONDS,
        **service_account(settings.stages.service_account_name),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": pod_security(settings),
        "containers": [
            {
                "name": CONTAINER,
                **image(settings, settings.images.trainer),
                "args": _arguments(voice, copy, settings),
                "env": variables(environment),
                "resources": RESOURCES,
                "securityContext": container_security(),
                "terminationMessagePolicy": "FallbackToLogsOnError",
                "volumeMounts": [
                    {"name": "files", "mountPath": FOLDER, "readOnly": True},
                    {"name": "hub-token", "mountPath": TOKEN_FOLDER, "readOnly": True},
                    {"name": "work", "mountPath": "/work"},
                    {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 -- as above
                    *mounts,
                ],
            }
        ],
        "volumes": [
            {"name": "files", "configMap": {"name": copy.name}},
            {"name": "hub-token", "secret": token},
            scratch("work", "2Gi"),
            scratch("tmp", "256Mi"),
            *volumes,
        ],
        **pull_secrets(settings),
    }


def _arguments(voice: VoiceRef, copy: HubEffect, settings: Settings) -> list[str]:
    target = f"hf://{copy.repository}"
    if isinstance(copy, WithdrawFromHub):
        return ["withdraw", target, *(["--cause", "deleted"] if copy.deleted else [])]
    uri = revision_uri(settings.storage.uri, voice.namespace, voice.name, copy.revision.input_hash)
    return ["copy", uri, target, "--digest", copy.revision.digest, *(["--public"] if copy.public else [])]
