"""Seals: a server serves only revisions that its installation's operator has signed."""

from __future__ import annotations

import base64
import json

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from voice_inference.bundles.references import VoiceReference
from voice_inference.errors import InvalidSettings

SEAL_SCHEMA = "voice.sovits.dev/seal/v1"


class Seals:
    """Checks seals (Ed25519, RFC 8032) by the installation's public key.

    What was accepted once stays accepted while this process lives: a digest names the same bytes for ever, and a new
    key of the installation must not silence what is served until the pods of the next template are ready.
    """

    def __init__(self, public_key: str) -> None:
        """Read the key: 32 bytes in base64.

        Raises:
            InvalidSettings: it is none.
        """
        try:
            self.key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key.strip(), validate=True))
        except ValueError as error:
            raise InvalidSettings(
                f"VOICE_PUBLIC_KEY is {public_key[:80]!r}, which is no public key: 32 bytes in base64 are needed"
            ) from error
        self._accepted: set[tuple[str, str, str]] = set()

    def accepts(self, reference: VoiceReference, *, seal: str, spec: str) -> bool:
        """Return whether the revision is sealed; ``spec`` is the digest of its record, which the seal covers."""
        identity = reference.id, reference.revision, reference.digest
        if identity not in self._accepted and not self._verifies(statement(reference, spec), seal):
            return False
        self._accepted.add(identity)
        return True

    def _verifies(self, signed: bytes, seal: str) -> bool:
        try:
            self.key.verify(base64.b64decode(seal, validate=True), signed)
        except (InvalidSignature, ValueError):
            return False
        return True


def statement(reference: VoiceReference, spec: str) -> bytes:
    """Return what the operator signs: canonical JSON with sorted names and no blanks."""
    names = {
        "schema": SEAL_SCHEMA,
        "voice": reference.id,
        "revision": reference.revision,
        "digest": reference.digest,
        "spec": spec,
    }
    return json.dumps(names, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
