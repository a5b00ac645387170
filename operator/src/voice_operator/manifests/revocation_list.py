"""Where the installation remembers revocations: a few Secrets, each with the salt of its hashes."""

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from voice_operator.errors import InvalidObject, ListTooLong
from voice_operator.manifests.labels import recommended
from voice_operator.reconcile.revocations import Revocation
from voice_operator.reconcile.times import parse

SHARDS = 8
SALT, LINES = "salt", "revocations"
SALT_BYTES = 32
MAX_BYTES = 1_000_000  # of lines in one Secret, which holds 1 MiB


def shard_of(uid: str) -> int:
    """Return which Secret remembers the revocation of a VoiceModel."""
    return hashlib.sha256(uid.encode()).digest()[0] % SHARDS


def shard_name(name: str, shard: int) -> str:
    """Return the name of a Secret."""
    return f"{name}-{shard}"


def revocation_secret(
    namespace: str, name: str, shard: int, salt: bytes, revocations: Iterable[Revocation]
) -> dict[str, Any]:
    """Return the Secret that remembers these.

    Raises:
        ListTooLong: it holds no more.
    """
    lines = lines_of(revocations)
    if len(lines) > MAX_BYTES:
        raise ListTooLong(f"Secret {namespace}/{shard_name(name, shard)} is full: {len(lines)} bytes of revocations")
    labels = recommended(name="voice-operator", instance=name, component="revocations")
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {"namespace": namespace, "name": shard_name(name, shard), "labels": labels},
        "data": {SALT: _encoded(salt), LINES: _encoded(lines)},
    }


def lines_of(revocations: Iterable[Revocation]) -> bytes:
    """Return one JSON document on each line."""
    return b"".join(json.dumps(asdict(one), separators=(",", ":")).encode() + b"\n" for one in revocations)


def read_secret(secret: dict[str, Any]) -> tuple[bytes, tuple[Revocation, ...]]:
    """Return salt and revocations.

    Raises:
        InvalidObject: it was edited, and nobody knows what it said.
    """
    name, data = secret["metadata"]["name"], secret.get("data") or {}
    try:
        salt = base64.b64decode(data.get(SALT, ""), validate=True)
        lines = base64.b64decode(data.get(LINES, ""), validate=True).splitlines()
        found = tuple(_revocation(json.loads(line)) for line in lines)
    except (binascii.Error, ValueError, TypeError) as error:
        raise InvalidObject(f"Secret {name}: {error}; restore it from a backup") from error
    if len(salt) != SALT_BYTES:
        raise InvalidObject(f"Secret {name}: data.{SALT} must have {SALT_BYTES} bytes; restore it from a backup")
    return salt, found


def _revocation(document: dict[str, Any]) -> Revocation:
    lists = {name: tuple(document.get(name, ())) for name in ("evidence", "recordings")}
    found = Revocation(**(document | lists))
    parse(found.at)
    return found


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()
