"""The smallest objects that users write."""

import hashlib
from typing import Any

Object = dict[str, Any]

API_VERSION = "voice.sovits.dev/v1alpha1"
DIGEST = "sha256:" + "a" * 64


def recordings_digest(name: str) -> str:
    """The digest of a voice's recordings: no two voices have the same ones."""
    return f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"


def make_voice(name: str, namespace: str, **spec: Any) -> Object:
    """The smallest VoiceModel, on the tiny base, with a pinned dataset so that no recordings are needed."""
    return {
        "apiVersion": API_VERSION,
        "kind": "VoiceModel",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "language": "en",
            "dataset": {"uri": f"s3://voices/datasets/{namespace}/{name}", "digest": recordings_digest(name)},
            "consent": {"holder": "Alice A.", "statement": "I agree that my voice is trained and used."},
            "base": "tiny",
        }
        | spec,
    }


def make_server(name: str, namespace: str, **spec: Any) -> Object:
    """The smallest VoiceServer, on the tiny base."""
    return {
        "apiVersion": API_VERSION,
        "kind": "VoiceServer",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"base": "tiny"} | spec,
    }
