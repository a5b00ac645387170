"""The revocations that outlive their resources: noted as watches tell of them, kept in Secrets, asked by every pass."""

import asyncio
import contextlib
import logging
import secrets
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from voice_operator.api.voice_model import Consent
from voice_operator.cluster.cache import ObjectKey
from voice_operator.cluster.caches import Caches
from voice_operator.cluster.kube import SECRETS, Kube
from voice_operator.cluster.objects import unpack
from voice_operator.cluster.signing import Signing
from voice_operator.errors import ClusterError, InvalidObject, LeadershipLost, ListTooLong, NotFound
from voice_operator.manifests.revocation_list import (
    SALT_BYTES,
    SHARDS,
    read_secret,
    revocation_secret,
    shard_name,
    shard_of,
)
from voice_operator.reconcile.desired import VoiceRecord
from voice_operator.reconcile.revocations import (
    Claim,
    HashedClaim,
    Revocation,
    RevocationIndex,
    hashed_claim,
    revocation_of,
)
from voice_operator.reconcile.times import parse, render

RETRY_SECONDS = 5.0
FINISH_SECONDS = 5.0
DIGESTS = ("digest", "fingerprint")  # of recordings, in spec and status
MAX_SPARE = 1000  # answers about voices that may be gone

log = logging.getLogger(__name__)


@dataclass
class _Shard:
    """What one Secret remembers, by the UID of the VoiceModel."""

    salt: bytes
    known: dict[str, Revocation] = field(default_factory=dict)
    by_namespace: defaultdict[str, RevocationIndex] = field(default_factory=lambda: defaultdict(RevocationIndex))

    def add(self, revocation: Revocation) -> None:
        if revocation.uid not in self.known:
            self.known[revocation.uid] = revocation
            self.by_namespace[revocation.namespace].add(revocation)


class _Stated:
    """A claim, hashed once with each salt; Secrets that were made together have one."""

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self._hashed: dict[bytes, HashedClaim] = {}

    def hashed(self, salt: bytes) -> HashedClaim:
        if salt not in self._hashed:
            self._hashed[salt] = hashed_claim(self.claim, salt)
        return self._hashed[salt]


class Revocations:
    """All revocations of the installation. What is noted counts at once; that it is written may take its time."""

    def __init__(self, caches: Caches, signing: Signing, clock: Callable[[], datetime]) -> None:
        self._caches = caches
        self._signing = signing
        self._clock = clock
        salt = secrets.token_bytes(SALT_BYTES)
        self._shards = {number: _Shard(salt) for number in range(SHARDS)}
        self._unwritten: defaultdict[int, list[tuple[Claim, str]]] = defaultdict(list)  # by shard
        self._changed = asyncio.Event()
        self._noted: dict[str, VoiceRecord] = {}  # until the Secrets are read, by UID
        self.is_loaded = asyncio.Event()
        self._stated: dict[str, tuple[VoiceRecord, int, _Stated]] = {}  # by UID; read with so many revisions

    def note(self, voice: VoiceRecord) -> None:
        """Remember a voice's revocation, where there is one."""
        revoked = voice.revoked_at is not None or (voice.consent is not None and voice.consent.revoked)
        shard = shard_of(voice.uid)
        if not revoked or voice.uid in self._shards[shard].known or voice.uid in self._noted:
            return
        if self.is_loaded.is_set():
            self._remember(voice)
        else:
            self._noted[voice.uid] = voice

    def why(self, claim: Claim) -> str | None:
        """Return which revocation covers a claim, as a sentence, or None."""
        return _why(_Stated(claim), self._indexes(claim.namespace))

    def covers(self, voice: VoiceRecord) -> bool:
        """Return whether a revocation covers a voice; asked for each voice of a list at each change of any of them."""
        indexes = self._indexes(voice.namespace)
        if not indexes:
            return False
        if len(self._stated) > 2 * len(self._caches.voices) + MAX_SPARE:
            self._stated.clear()  # most are of voices that are gone
        revisions, known = self._caches.revisions.count(_key(voice)), self._stated.get(voice.uid)
        if known is None or known[0] is not voice or known[1] != revisions:
            known = self._stated[voice.uid] = voice, revisions, _Stated(self._claim(voice))
        return _why(known[2], indexes) is not None

    def _indexes(self, namespace: str) -> list[tuple[bytes, RevocationIndex]]:
        return [
            (shard.salt, shard.by_namespace[namespace])
            for shard in self._shards.values()
            if namespace in shard.by_namespace
        ]

    async def run(self, kube: Kube, namespace: str, name: str) -> None:
        """Read the Secrets, then write what is noted, for ever, many at a time. It needs the signing key."""
        await self._load(kube, namespace, name)
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self._write_noted(kube, namespace, name)

    async def finish(self, kube: Kube, namespace: str, name: str) -> None:
        """Write what ``run`` had no time for, once it is cancelled; whoever lost the lease leaves it to the next."""
        with contextlib.suppress(LeadershipLost, TimeoutError):
            async with asyncio.timeout(FINISH_SECONDS):
                await self._write_noted(kube, namespace, name)

    async def _write_noted(self, kube: Kube, namespace: str, name: str) -> None:
        for number in [number for number, noted in sorted(self._unwritten.items()) if noted]:
            try:
                await self._write(kube, namespace, name, number)
            except (ClusterError, InvalidObject, ListTooLong) as error:
                log.error("a revocation is not remembered yet: %s; tried again", error)  # noqa: TRY400 -- expected
                asyncio.get_running_loop().call_later(RETRY_SECONDS, self._changed.set)

    async def _load(self, kube: Kube, namespace: str, name: str) -> None:
        """Read the Secrets; tries until it can, because nothing may be trained before."""
        while not self.is_loaded.is_set():
            try:
                missing = [number for number in range(SHARDS) if not await self._read(kube, namespace, name, number)]
            except (ClusterError, InvalidObject) as error:
                where = f"{namespace}/{shard_name(name, 0)} to {SHARDS - 1}"
                log.error("revocations, Secrets %s: %s; nothing is trained; tried again", where, error)  # noqa: TRY400 -- expected
                await asyncio.sleep(RETRY_SECONDS)
                continue
            present = [shard.salt for number, shard in self._shards.items() if number not in missing]
            for number in missing:  # with a salt that is there, each claim is hashed once
                self._shards[number] = _Shard(present[0] if present else self._shards[number].salt)
            self.is_loaded.set()
            for voice in self._noted.values():
                self._remember(voice)
            self._noted.clear()

    def _remember(self, voice: VoiceRecord) -> None:
        number = shard_of(voice.uid)
        shard = self._shards[number]
        if voice.uid not in shard.known:
            claim, at = self._claim(voice), _time_of(voice, self._clock())
            shard.add(revocation_of(claim, at, shard.salt))
            self._unwritten[number].append((claim, at))
            self._changed.set()

    def _claim(self, voice: VoiceRecord) -> Claim:
        """Return what a voice states, for the recordings of its spec, its status and its sealed revisions.

        A revision that somebody else made would have recordings revoked that are another voice's.
        """
        item = unpack(voice.packed)
        stated = [_text(item, part, "dataset", name) for part in ("spec", "status") for name in DIGESTS]
        names = [one["metadata"]["name"] for one in self._caches.revisions_of(*_key(voice))]
        sealed = [name for name in names if self._signing.sealed(voice.namespace, name) is not None]
        records = [self._caches.record_of(voice.id, name) for name in sealed]
        made = [record.recordings for record in records if record is not None]
        return claim_of(voice.id, voice.uid, voice.created, voice.consent, (*stated, *made))

    async def _read(self, kube: Kube, namespace: str, name: str, number: int) -> bool:
        """Read one Secret; return whether it is there."""
        try:
            salt, found = read_secret(await kube.get(SECRETS, namespace, shard_name(name, number)))
        except NotFound:
            return False
        self._shards[number] = shard = _Shard(salt)
        for revocation in found:
            shard.add(revocation)
        return True

    async def _write(self, kube: Kube, namespace: str, name: str, number: int) -> None:
        """Write one Secret: what it says already stays."""
        shard, metadata = self._shards[number], {}
        try:
            secret = await kube.get(SECRETS, namespace, shard_name(name, number))
        except NotFound:
            pass
        else:
            metadata = {"resourceVersion": secret["metadata"]["resourceVersion"]}
            salt, found = read_secret(secret)
            if salt != shard.salt:  # somebody has put another one there, as from a backup
                shard = self._shards[number] = _Shard(salt)
            for revocation in found:
                shard.add(revocation)
        noted = len(self._unwritten[number])  # more may be noted while this is written
        for claim, at in self._unwritten[number]:
            shard.add(revocation_of(claim, at, shard.salt))
        body = revocation_secret(namespace, name, number, shard.salt, shard.known.values())
        await kube.apply(SECRETS, body | {"metadata": body["metadata"] | metadata})
        del self._unwritten[number][:noted]


def _why(stated: _Stated, indexes: Iterable[tuple[bytes, RevocationIndex]]) -> str | None:
    found = (index.why_revoked(stated.claim, stated.hashed(salt)) for salt, index in indexes)
    return next((sentence for sentence in found if sentence is not None), None)


def claim_of(voice: str, uid: str, created: str, consent: Consent | None, recordings: Iterable[str]) -> Claim:
    """Return the claim of a voice, namespace/name; ``created`` is its creationTimestamp."""
    namespace, _, name = voice.partition("/")
    return Claim(
        namespace=namespace,
        voice=name,
        uid=uid,
        created=parse(created) if created else None,
        holder=consent.holder if consent is not None else "",
        evidence=consent.evidence if consent is not None else "",
        evidence_digest=consent.evidence_digest if consent is not None else "",
        recordings=frozenset(recordings) - {""},
    )


def _time_of(voice: VoiceRecord, now: datetime) -> str:
    """Return when a voice was revoked; a status may hold anything, and nothing was revoked later than now."""
    try:
        return render(min(parse(voice.revoked_at or ""), now))
    except (ValueError, OverflowError):
        return render(now)


def _text(item: Any, *path: str) -> str:
    """Return a text inside an object, whose form nobody has checked; empty: there is none."""
    for name in path:
        item = item.get(name) if isinstance(item, dict) else None
    return item if isinstance(item, str) else ""


def _key(voice: VoiceRecord) -> ObjectKey:
    namespace, _, name = voice.id.partition("/")
    return namespace, name
