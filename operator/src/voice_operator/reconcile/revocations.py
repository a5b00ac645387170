"""What was revoked, remembered without names: whether a VoiceModel that was made since states the same consent."""

import hashlib
import hmac
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from voice_operator.reconcile.times import parse
from voice_operator.signing import canonical

HASH_DIGITS = 32


@dataclass(frozen=True)
class Claim:
    """The consent that a VoiceModel states, and for which recordings."""

    namespace: str
    voice: str
    uid: str
    created: datetime | None
    holder: str
    evidence: str = ""
    evidence_digest: str = ""
    recordings: frozenset[str] = frozenset()  # digests and fingerprints


@dataclass(frozen=True)
class Revocation:
    """A consent that was revoked: keyed hashes of whom and what it was about."""

    namespace: str
    uid: str  # of the VoiceModel
    at: str
    voice: str
    holder: str
    evidence: tuple[str, ...] = ()  # its address, its digest
    recordings: tuple[str, ...] = ()


def revocation_of(claim: Claim, at: str, salt: bytes) -> Revocation:
    """Return what is remembered of a consent that was revoked ``at`` this time."""
    return Revocation(
        namespace=claim.namespace,
        uid=claim.uid,
        at=at,
        voice=_hash(salt, "voice", claim.voice),
        holder=_hash(salt, "holder", claim.holder),
        evidence=_hashes(salt, "evidence", filter(None, (claim.evidence, claim.evidence_digest))),
        recordings=_hashes(salt, "recordings", sorted(claim.recordings)),
    )


@dataclass(frozen=True)
class HashedClaim:
    """A claim in the words of revocations that are hashed with one salt."""

    voice: str
    holder: str
    evidence: frozenset[str]
    recordings: frozenset[str]


def hashed_claim(claim: Claim, salt: bytes) -> HashedClaim:
    """Return what a claim has to be compared by; it costs some microseconds for each value, a comparison none."""
    return HashedClaim(
        voice=_hash(salt, "voice", claim.voice),
        holder=_hash(salt, "holder", claim.holder),
        evidence=frozenset(_hashes(salt, "evidence", filter(None, (claim.evidence, claim.evidence_digest)))),
        recordings=frozenset(_hashes(salt, "recordings", claim.recordings)),
    )


class RevocationIndex:
    """Revocations of one namespace and one salt, by what they may cover: asking many costs no more than asking one."""

    def __init__(self, revocations: Iterable[Revocation] = ()) -> None:
        self._by_uid: dict[str, Revocation] = {}
        self._by_recordings: defaultdict[str, list[Revocation]] = defaultdict(list)
        self._by_person: defaultdict[tuple[str, str], list[Revocation]] = defaultdict(list)  # voice, holder
        for revocation in revocations:
            self.add(revocation)

    def add(self, revocation: Revocation) -> None:
        """Remember one more."""
        self._by_uid[revocation.uid] = revocation
        self._by_person[revocation.voice, revocation.holder].append(revocation)
        for recordings in revocation.recordings:
            self._by_recordings[recordings].append(revocation)

    def why_revoked(self, claim: Claim, hashed: HashedClaim) -> str | None:
        """Return which revocation covers a claim, as a sentence; None: none does.

        A revocation covers its own VoiceModel, and each that was made later for the same recordings, or for the same
        holder under the same name, unless that has evidence of its own. One that stood beside the revoked one, under
        another name, is a consent of its own.
        """
        if (own := self._by_uid.get(claim.uid)) is not None:
            return f"the consent of {claim.holder} was revoked at {own.at}"
        for recordings in sorted(hashed.recordings):
            for one in self._by_recordings.get(recordings, ()):
                if _may_cover(one, claim, hashed):
                    return f"the consent for these recordings was revoked at {one.at}"
        for one in self._by_person.get((hashed.voice, hashed.holder), ()):
            if _may_cover(one, claim, hashed):
                return f"the consent of {claim.holder} for {claim.voice} was revoked at {one.at}"
        return None


def _may_cover(one: Revocation, claim: Claim, hashed: HashedClaim) -> bool:
    """Return whether a claim is later than a revocation, and has no evidence of its own."""
    if claim.evidence and hashed.evidence.isdisjoint(one.evidence):
        return False
    return one.voice == hashed.voice or claim.created is None or claim.created >= parse(one.at)


def _hashes(salt: bytes, kind: str, values: Iterable[str]) -> tuple[str, ...]:
    return tuple(_hash(salt, kind, value) for value in values)


def _hash(salt: bytes, kind: str, value: str) -> str:
    return hmac.new(salt, canonical({kind: value}), hashlib.sha256).hexdigest()[:HASH_DIGITS]
