"""Where the installation's key lies: the private half in a Secret, the public one in a ConfigMap."""

import base64
from typing import Any

from voice_operator.manifests.labels import recommended

PRIVATE, PUBLIC = "ed25519.pem", "ed25519.pub"


def private_secret(namespace: str, name: str, pem: bytes) -> dict[str, Any]:
    """Return the Secret of a private key in PEM."""
    data = {PRIVATE: base64.b64encode(pem).decode()}
    return {"kind": "Secret", "type": "Opaque", "data": data} | _about(namespace, name)


def public_config_map(namespace: str, name: str, public_key: str) -> dict[str, Any]:
    """Return the ConfigMap of a public key in base64."""
    return {"kind": "ConfigMap", "data": {PUBLIC: public_key}} | _about(namespace, name)


def _about(namespace: str, name: str) -> dict[str, Any]:
    labels = recommended(name="voice-operator", instance=name, component="signing-key")
    return {"apiVersion": "v1", "metadata": {"namespace": namespace, "name": name, "labels": labels}}
