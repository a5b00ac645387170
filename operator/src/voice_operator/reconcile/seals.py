"""Seals: by its signature over name, bundle and record, a VoiceRevision is known as one that the operator made."""

import hashlib
from dataclasses import dataclass
from typing import Any

from voice_operator.api.voice_revision import VoiceRevisionSpec
from voice_operator.api.voice_status import ResolvedBase
from voice_operator.signing import canonical

SEAL_SCHEMA = "voice.sovits.dev/seal/v1"


@dataclass(frozen=True)
class SealedRevision:
    """What a valid seal vouches for, and the seal."""

    voice: str  # namespace/name
    revision: str
    input_hash: str
    digest: str  # of the bundle
    base: ResolvedBase
    spec_digest: str
    seal: str
    annotated: bool = True  # False: the seal is not on the object yet


def spec_digest(spec: VoiceRevisionSpec) -> str:
    """Return the SHA-256 of a revision's canonical spec, as ``sha256:<64 hex>``.

    Fields with their default and empty parts are left out, so that a field that a later release adds changes nothing.
    """
    document = spec.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True)
    return f"sha256:{hashlib.sha256(canonical(_without_empty(document))).hexdigest()}"


def statement(*, voice: str, revision: str, digest: str, spec: str) -> bytes:
    """Return what is signed; ``voice`` is namespace/name, ``digest`` the bundle's, ``spec`` the canonical spec's."""
    return canonical({"schema": SEAL_SCHEMA, "voice": voice, "revision": revision, "digest": digest, "spec": spec})


def _without_empty(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    kept = {name: _without_empty(part) for name, part in value.items()}
    return {name: part for name, part in kept.items() if part not in ({}, [], "", None)}
