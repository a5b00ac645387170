"""The records of the audit log: each names the one before it by hash, and carries the installation's signature."""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from voice_operator.api.voice_status import Act
from voice_operator.documents import DIGEST, RFC3339, Document
from voice_operator.errors import InvalidDocument
from voice_operator.reconcile.audit import Position
from voice_operator.reconcile.times import render
from voice_operator.signing import PublicKey, SigningKey, canonical

SCHEMA = "voice.sovits.dev/audit/v1"
NAME_DIGITS = 12
SUFFIX = ".json"
MAX_BYTES = 64 << 10


class AuditRecord(Document):
    """One record, as it lies in the store."""

    schema_: Literal["voice.sovits.dev/audit/v1"] = Field(alias="schema")
    namespace: str = Field(max_length=63)
    sequence: int = Field(ge=1, le=10**NAME_DIGITS - 1)
    previous: str = Field(pattern=f"{DIGEST}|^$", description="SHA-256 of the record before it; empty: the first.")
    voice: str = Field(max_length=253)
    uid: str = Field(max_length=64, description="Of the VoiceModel or, of what was erased, of the VoiceRevision.")
    recorded_at: str = Field(pattern=RFC3339)
    act: Act
    key: str = Field(max_length=64, description="Public half of the key that signed it, in base64.")
    signature: str = Field(max_length=128, description="Over the canonical JSON of all other fields, in base64.")


@dataclass(frozen=True)
class Subject:
    """Whom an act is about."""

    namespace: str
    voice: str
    uid: str


def record_name(sequence: int) -> str:
    """Return the name of a record's object."""
    return f"{sequence:0{NAME_DIGITS}d}{SUFFIX}"


def sequence_of(name: str) -> int | None:
    """Return the number that an object's name gives; None: it is no record's name."""
    digits = name.removesuffix(SUFFIX)
    is_number = digits.isascii() and digits.isdecimal()
    return int(digits) if is_number and name == record_name(int(digits)) else None


def record_bytes(subject: Subject, act: Act, after: Position, now: datetime, key: SigningKey) -> bytes:
    """Return the record of an act that follows the one at ``after``."""
    record: dict[str, Any] = {
        "schema": SCHEMA,
        "namespace": subject.namespace,
        "sequence": after.sequence + 1,
        "previous": after.digest,
        "voice": subject.voice,
        "uid": subject.uid,
        "recordedAt": render(now),
        "act": act.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True),
        "key": key.public.text,
    }
    return canonical(record | {"signature": key.sign(canonical(record))})


def digest_of(record: bytes) -> str:
    """Return the SHA-256 of a record's bytes, which the next record names."""
    return f"sha256:{hashlib.sha256(record).hexdigest()}"


def read_record(data: bytes, source: str) -> AuditRecord:
    """Parse a record; whether it is signed is another question.

    Raises:
        InvalidDocument: it is none.
    """
    return AuditRecord.read(data, source)


def is_signed(data: bytes, keys: tuple[PublicKey, ...]) -> bool:
    """Return whether one of the keys signed exactly these bytes."""
    try:
        document: Any = json.loads(data)
        signature = str(document.pop("signature"))
    except (ValueError, KeyError, AttributeError, TypeError):
        return False
    if data != canonical(document | {"signature": signature}):
        return False  # another spelling of the same document
    return any(key.verifies(canonical(document), signature) for key in keys)


def id_in(data: bytes) -> str:
    """Return the id of the act in a record; empty where it is none."""
    try:
        return read_record(data, "record").act.id
    except InvalidDocument:
        return ""
