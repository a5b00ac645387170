"""Parts that all pods share: restricted security contexts, bounded emptyDirs, images, credentials."""

from typing import Any

from voice_operator.settings import RECOGNISER_FOLDER, Settings, base_folder

CA_FILE = "ca.crt"
KEYS = "store-keys"  # the volume with the store's keys
KEYS_FOLDER = "/etc/voice-store"


def pod_security(settings: Settings) -> dict[str, Any]:
    """Return the pod's security context."""
    return {"runAsNonRoot": True, **settings.pod_security.ids, "seccompProfile": {"type": "RuntimeDefault"}}


def container_security() -> dict[str, Any]:
    """Return a container's security context."""
    return {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True}


def scratch(name: str, size: str) -> dict[str, Any]:
    """Return a local folder that the kubelet keeps below ``size``."""
    return {"name": name, "emptyDir": {"sizeLimit": size}}


def store_keys(settings: Settings) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the volumes and the mounts that bring the store's keys in, from a Secret beside the pod.

    Files, because child processes inherit an environment, and because a changed Secret changes no running environment.
    """
    name = settings.storage.secret_name
    if not name:
        return [], []
    volume = {"name": KEYS, "secret": {"secretName": name, "defaultMode": settings.pod_security.secret_mode}}
    return [volume], [{"name": KEYS, "mountPath": KEYS_FOLDER, "readOnly": True}]


def base_volumes(settings: Settings, *names: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the volumes and the mounts of the bases that have one, of those named."""
    with_volume = [(number, name) for number, name in enumerate(sorted(settings.bases)) if settings.bases[name].volume]
    chosen = [(f"base-{number}", name) for number, name in with_volume if name in names]
    volumes = [{"name": volume, **settings.bases[name].volume} for volume, name in chosen]
    return volumes, [{"name": volume, "mountPath": base_folder(name), "readOnly": True} for volume, name in chosen]


def recogniser_volume(settings: Settings, language: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the volume and the mount of a language's recogniser, if it has one."""
    known = settings.recogniser_of(language)
    if known is None or not known.volume:
        return [], []
    mount = {"name": "recogniser", "mountPath": RECOGNISER_FOLDER, "readOnly": True}
    return [{"name": "recogniser", **known.volume}], [mount]


def store_environment(settings: Settings, folder: str) -> dict[str, str]:
    """Return the variables that say where the store is; ``folder`` is where the ConfigMap with ``store_files`` lies."""
    ca = {"AWS_CA_BUNDLE": f"{folder}/{CA_FILE}"} if settings.storage.ca else {}
    keys = {"VOICE_S3_CREDENTIALS_DIR": KEYS_FOLDER} if settings.storage.secret_name else {}
    return settings.storage.environment() | keys | ca | settings.proxy.environment()


def store_files(settings: Settings) -> dict[str, str]:
    """Return what a pod's ConfigMap holds besides its own document: the authorities of the store's certificate."""
    return {CA_FILE: settings.storage.ca} if settings.storage.ca else {}


def variables(environment: dict[str, str]) -> list[dict[str, str]]:
    """Return the ``env`` of a container."""
    return [{"name": name, "value": value} for name, value in environment.items()]


def service_account(name: str) -> dict[str, Any]:
    """Return the part of a pod that names its ServiceAccount: clouds hand out the store's keys by it."""
    return {"serviceAccountName": name} if name else {}


def image(settings: Settings, name: str) -> dict[str, Any]:
    """Return a container's image and when to pull it."""
    return {"image": name, "imagePullPolicy": settings.images.pull_policy}


def pull_secrets(settings: Settings) -> dict[str, Any]:
    """Return the part of a pod that names registry credentials."""
    secrets = settings.images.pull_secrets
    return {"imagePullSecrets": [{"name": name} for name in secrets]} if secrets else {}
