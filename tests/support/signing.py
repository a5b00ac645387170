"""A signing key that every test may know, and what it signs."""

import hashlib
from datetime import UTC, datetime
from typing import Any

from voice_operator.cluster.caches import Caches
from voice_operator.cluster.signing import Signing
from voice_operator.manifests.revision import sealed
from voice_operator.signing import SigningKey

SINCE = datetime(2026, 11, 20, tzinfo=UTC)
OLDER = "2026-11-19T00:00:00Z"  # when there was no key yet
YOUNGER = "2026-11-21T00:00:00Z"
PEM = b"""-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIBYb6mMujCBO+0H0VsZVGOBxIMTREG2y2/HP17tS0u5n
-----END PRIVATE KEY-----
"""
KEY = SigningKey(PEM, SINCE)


def signing(caches: Caches) -> Signing:
    """What an operator that has read its key knows of the revisions in its caches."""
    return Signing(caches, KEY)


def seal_of(namespace: str, name: str, spec: dict[str, Any]) -> dict[str, str]:
    """The annotations of a revision that this key has sealed."""
    item = sealed({"metadata": {"namespace": namespace, "name": name}, "spec": spec}, KEY)
    annotations: dict[str, str] = item["metadata"]["annotations"]
    return annotations


def sealed_revision(voice: str, name: str, digest: str, version: int = 1) -> dict[str, Any]:
    """A VoiceRevision of a voice in the namespace studio, as the operator made it."""
    spec = {
        "voiceModel": voice,
        "inputHash": hashlib.sha256(name.encode()).hexdigest(),
        "workspace": "s3://voices/x",
        "language": "en",
        "dataset": {"uri": "s3://d/alice"},
        "base": {"name": "tiny", "uri": "embedded:tiny"},
        "training": {},
        "consent": {"holder": "Alice A.", "statement": "I agree."},
        "artifacts": {"uri": "s3://voices/y", "digest": digest},
        "evaluation": {"scores": {}},
    }
    metadata = {"namespace": "studio", "name": name, "uid": f"uid-{name}", "resourceVersion": str(version)}
    return {"metadata": metadata | {"annotations": seal_of("studio", name, spec)}, "spec": spec}
