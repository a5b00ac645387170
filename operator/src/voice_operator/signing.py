"""The installation's signing key: it seals revisions, and the keys of attempts are derived from it."""

import base64
import hashlib
import hmac
import json
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from voice_operator.errors import InvalidObject, InvalidSettings

ATTEMPT_SCHEMA = "voice.sovits.dev/attempt-key/v1"
PURPOSE_SCHEMA = "voice.sovits.dev/purpose-key/v1"
REQUEST_SCHEMA = "voice.sovits.dev/request/v1"


class SigningKey:
    """An Ed25519 key (RFC 8032). Whoever has it can make voices that every server of the installation accepts."""

    def __init__(self, pem: bytes, since: datetime) -> None:
        """Read a private key; what was made before ``since``, the key's own time, could not be sealed.

        Raises:
            InvalidObject: it is no Ed25519 key in PEM.
        """
        try:
            key = serialization.load_pem_private_key(pem, password=None)
        except (ValueError, TypeError) as error:
            raise InvalidObject(f"it is no private key in PEM: {error}") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise InvalidObject("it is a key of another kind than Ed25519")
        self._key = key
        self.since = since
        self.public = PublicKey(base64.b64encode(key.public_key().public_bytes_raw()).decode())

    def sign(self, statement: bytes) -> str:
        """Return the signature in base64; the same statement always gets the same one."""
        return base64.b64encode(self._key.sign(statement)).decode()

    def attempt_key(self, voice_uid: str, input_hash: str, stage: str, attempt: int) -> bytes:
        """Return the 32 bytes by which one attempt of one stage proves what it made (HKDF, RFC 5869)."""
        names = {"schema": ATTEMPT_SCHEMA, "voice": voice_uid, "input": input_hash, "stage": stage, "attempt": attempt}
        return self._derived(names)

    def key_for(self, purpose: str) -> bytes:
        """Return the 32 bytes of the installation for one purpose."""
        return self._derived({"schema": PURPOSE_SCHEMA, "purpose": purpose})

    def _derived(self, names: dict[str, Any]) -> bytes:
        derivation = HKDF(algorithm=SHA256(), length=32, salt=None, info=canonical(names))
        return derivation.derive(self._key.private_bytes_raw())


class PublicKey:
    """The public half: 32 bytes in base64."""

    def __init__(self, text: str) -> None:
        """Read the key.

        Raises:
            InvalidObject: it is none.
        """
        try:
            self._key = Ed25519PublicKey.from_public_bytes(base64.b64decode(text.strip(), validate=True))
        except ValueError as error:
            raise InvalidObject(f"{text.strip()[:80]!r} is no public key: 32 bytes in base64 are needed") from error
        self.text = text.strip()

    def verifies(self, statement: bytes, signature: str) -> bool:
        """Return whether the signature is of this statement and by this key."""
        try:
            self._key.verify(base64.b64decode(signature, validate=True), statement)
        except (InvalidSignature, ValueError):
            return False
        return True


def authorization(key: SigningKey, *, method: str, address: str, path: str, now: datetime) -> str:
    """Return the header by which an inference pod knows a request of its operator.

    The signature is of this method, ``host:port``, path and second: pods take it for some minutes, and no other pod
    takes it at all.
    """
    time = int(now.timestamp())
    names = {"schema": REQUEST_SCHEMA, "method": method, "address": address, "path": path, "time": time}
    return f"VoiceOperator {time}.{key.sign(canonical(names))}"


def read_public_key(path: Path) -> PublicKey:
    """Read the key of the seals from a file.

    Raises:
        InvalidSettings: it cannot be read, or is no key.
    """
    try:
        return PublicKey(path.read_text())
    except (OSError, UnicodeDecodeError, InvalidObject) as error:
        raise InvalidSettings(f"--public-key {path}: {error}") from error


def new_key() -> bytes:
    """Return a new private key in PEM."""
    return Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def tag_of(document: dict[str, Any], key: bytes) -> str:
    """Return the HMAC-SHA256 over a document without its ``tag``, as 64 hex digits."""
    untagged = {name: value for name, value in document.items() if name != "tag"}
    return hmac.new(key, canonical(untagged), hashlib.sha256).hexdigest()


def has_tag(document: dict[str, Any], key: bytes) -> bool:
    """Return whether the document's ``tag`` is by this key."""
    return hmac.compare_digest(str(document.get("tag", "")).encode(), tag_of(document, key).encode())


def canonical(document: dict[str, Any]) -> bytes:
    """Return the one JSON text of a document: sorted names, no blanks, UTF-8."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
