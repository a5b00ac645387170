"""What was revoked, remembered without names: whether a VoiceModel that was made since states the same consent."""

import hashlib
import hmac
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


def why_revoked(claim: Claim, revocations: Iterable[Revocation], salt: bytes) -> str | None:
    """Return which revocation covers a claim, as a sentence; None: none does.

    ``revocations`` are of the claim's namespace, hashed with ``salt``. A revocation covers its own VoiceModel, and each
    that was made later for the same recordings, or for the same holder under the same name, unless that has evidence
    of its own. One that stood beside the revoked one, under another name, is a consent of its own.
    """
    voice, holder = _hash(salt, "voice", claim.voice), _hash(salt, "holder", claim.holder)
    recordings = set(_hashes(salt, "recordings", claim.recordings))
    evidence = set(_hashes(salt, "evidence", filter(None, (claim.evidence, claim.evidence_digest))))
    for one in revocations:
        if one.uid == claim.uid:
            return f"the consent of {claim.holder} was revoked at {one.at}"
        is_later = one.voice == voice or claim.created is None or claim.created >= parse(one.at)
        has_other_evidence = bool(claim.evidence) and evidence.isdisjoint(one.evidence)
        if not is_later or has_other_evidence:
            continue
        if not recordings.isdisjoint(one.recordings):
            return f"the consent for these recordings was revoked at {one.at}"
        if (one.voice, one.holder) == (voice, holder):
            return f"the consent of {claim.holder} for {claim.voice} was revoked at {one.at}"
    return None


def _hashes(salt: bytes, kind: str, values: Iterable[str]) -> tuple[str, ...]:
    return tuple(_hash(salt, kind, value) for value in values)


def _hash(salt: bytes, kind: str, value: str) -> str:
    return hmac.new(salt, canonical({kind: value}), hashlib.sha256).hexdigest()[:HASH_DIGITS]
