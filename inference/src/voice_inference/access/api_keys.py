"""API keys: random texts that only their holders have; the server knows their SHA-256, and what each may do."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import Annotated, Final

from pydantic import ConfigDict, Field, Strict
from pydantic.alias_generators import to_camel

from voice_inference.access.callers import MAX_PATTERNS, Caller, Limits, Scope, VoicePattern
from voice_inference.errors import InvalidKey

PREFIX: Final = "vo_"  # secret scanners find it
KEY_BYTES: Final = 32  # of randomness; a key of so many needs no slow hash, because nobody can guess through them
MAX_KEYS: Final = 2000


class KeyEntry(Limits):
    """What is stored of one key; a limit that is left out is the server's default."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, validate_by_name=True)

    id: str = Field(pattern=r"^[a-z0-9]([-a-z0-9_.]{0,61}[a-z0-9])?$")
    sha256: str = Field(pattern="^[0-9a-f]{64}$", repr=False)
    voices: tuple[VoicePattern, ...] = Field(min_length=1, max_length=MAX_PATTERNS)
    expires: Annotated[date, Strict(strict=False)] | None = Field(
        None, description="Last day (UTC); null: without end."
    )

    def caller(self, defaults: Limits) -> Caller:
        """Return who holds the key."""
        own = self.model_dump(include=set(Limits.model_fields) & self.model_fields_set)
        return Caller(self.id, Scope(self.voices), defaults.model_copy(update=own))


@dataclass(frozen=True)
class KeyRing:
    """The keys that are valid now; replaced as a whole."""

    entries: tuple[KeyEntry, ...] = ()
    _digests: tuple[bytes, ...] = field(init=False, repr=False, default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "_digests", tuple(bytes.fromhex(entry.sha256) for entry in self.entries))

    def find(self, key: str, today: date) -> KeyEntry:
        """Return the entry of a key. The time that it takes says nothing of which key was nearly right.

        Raises:
            InvalidKey: there is no such key, or it has ended.
        """
        digest = hashlib.sha256(key.encode()).digest()
        found = [number for number, known in enumerate(self._digests) if hmac.compare_digest(known, digest)]
        if not found:
            raise InvalidKey("There is no such API key; ask whoever runs this server for one.")
        entry = self.entries[found[0]]
        if entry.expires is not None and entry.expires < today:
            raise InvalidKey(f"The API key {entry.id} ended on {entry.expires} (UTC); ask for a new one.")
        return entry


def new_key() -> str:
    """Return a new key, which is stored nowhere."""
    return PREFIX + secrets.token_urlsafe(KEY_BYTES)


def digest_of(key: str) -> str:
    """Return what is stored of a key: 64 hex digits."""
    return hashlib.sha256(key.encode()).hexdigest()


def ring_of(entries: Iterable[tuple[str, KeyEntry]]) -> tuple[KeyRing, list[str]]:
    """Return the keys of named entries, and a sentence for each that is left out: an id or a key counts once."""
    kept: dict[str, KeyEntry] = {}
    hashes: set[str] = set()
    refused = []
    for name, entry in entries:
        if entry.id in kept:
            refused.append(f"{name}: the id {entry.id} is used twice")
        elif entry.sha256 in hashes:
            refused.append(f"{name}: another entry has the same key; make a new one for {entry.id}")
        elif len(kept) == MAX_KEYS:
            refused.append(f"{name}: a server takes {MAX_KEYS} keys")
        else:
            kept[entry.id] = entry
            hashes.add(entry.sha256)
    return KeyRing(tuple(kept.values())), refused
