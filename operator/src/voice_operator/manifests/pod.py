"""Parts that all pods share: restricted security contexts, bounded emptyDirs, images, credentials."""

from typing import Any

from voice_operator.settings import Settings

USER = 65532  # "nonroot" in distroless images; ours use the same


def pod_security() -> dict[str, Any]:
    """Return the pod's security context."""
    return {
        "runAsNonRoot": True,
        "runAsUser": USER,
        "runAsGroup": USER,
        "fsGroup": USER,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security() -> dict[str, Any]:
    """Return a container's security context."""
    return {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True}


def scratch(name: str, size: str) -> dict[str, Any]:
    """Return a local folder that the kubelet keeps below ``size``."""
    return {"name": name, "emptyDir": {"sizeLimit": size}}


def store_credentials(settings: Settings) -> dict[str, Any]:
    """Return the part of a container that brings the store's AWS_* variables in, from a Secret beside the pod."""
    name = settings.storage.secret_name
    return {"envFrom": [{"secretRef": {"name": name}}]} if name else {}


def image(settings: Settings, name: str) -> dict[str, Any]:
    """Return a container's image and when to pull it."""
    return {"image": name, "imagePullPolicy": settings.images.pull_policy}


def pull_secrets(settings: Settings) -> dict[str, Any]:
    """Return the part of a pod that names registry credentials."""
    secrets = settings.images.pull_secrets
    return {"imagePullSecrets": [{"name": name} for name in secrets]} if secrets else {}
