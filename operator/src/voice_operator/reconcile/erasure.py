"""What of a voice's files must go, and why: derived from consent, revisions and the status on every pass.

What a VoiceRevision stands for is never erased while it exists; what goes is taken from the list of inputs in the
voice's status, so that nothing is erased of which nobody knows whose it is.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from pydantic import Field

from voice_operator.api.voice_model import Consent
from voice_operator.api.voice_status import ErasureReason, StageStatus, Tombstone, TrainedInput
from voice_operator.documents import Document
from voice_operator.reconcile.left_inputs import left, outlived, present, resumed_stages
from voice_operator.reconcile.names import revision_name
from voice_operator.reconcile.observed import Observed, ObservedRevision, Voice

MAX_INPUTS = 256
MAX_TOMBSTONES = 32
WHOLE = ""  # instead of an input hash: everything that the voice has


@dataclass(frozen=True)
class Erased:
    """What was erased of a voice: for the log, for Events, and for whoever keeps records of it."""

    voice: str  # namespace/name
    uid: str
    objects: int  # versions and markers of deletions included
    bytes: int
    prefixes: tuple[str, ...]  # URIs
    why: ErasureReason
    complete: bool = True  # False: older versions, if the bucket keeps any, could not be seen
    at_least: bool = False  # more may have gone than is counted

    @property
    def sentence(self) -> str:
        """What is told of it."""
        at_least = "at least " if self.at_least else ""
        unseen = "" if self.complete else "; older versions were not seen: the keys lack s3:ListBucketVersions"
        return (
            f"{self.why}: {at_least}{self.objects} objects, {self.bytes} bytes below {', '.join(self.prefixes)}{unseen}"
        )


@dataclass(frozen=True)
class Erasure:
    """Files that must go: everything below ``prefixes`` of the voice's folder but what lies below ``keep``."""

    why: ErasureReason
    input_hash: str = WHOLE
    prefixes: tuple[str, ...] = ("",)
    keep: tuple[str, ...] = ()


class Served(Document):
    """What is served of a voice; of what was, somebody must tell once its VoiceModel is gone."""

    revision: str = Field(max_length=253)
    digest: str = Field(max_length=71, description="Of the bundle.")


class Copied(Document):
    """A copy on the Hub that is there, or may be; it, too, must go with its VoiceModel."""

    repository: str = Field(max_length=193)
    revision: str = Field(max_length=253)
    digest: str = Field(max_length=71, description="Of the bundle.")


@dataclass(frozen=True)
class Claims:
    """What a VoiceModel says about its files."""

    voice: str  # its name
    consent: Consent | None = None  # None: the spec cannot be read, and nothing is erased
    revoked: bool = False
    legal_hold: bool = False
    inputs: tuple[TrainedInput, ...] = ()  # of the status; those that go


def erasures_of(claims: Claims, revisions: Collection[str]) -> tuple[Erasure, ...]:
    """Return what must go now; ``revisions`` are the names of all VoiceRevisions that exist."""
    if claims.legal_hold or claims.consent is None:
        return ()
    if claims.revoked and claims.consent.erase:
        return (Erasure("ErasureRequested"),)
    if claims.revoked:
        return (Erasure("ConsentRevoked", keep=tuple(_bundle(name) for name in sorted(revisions))),)
    return tuple(
        Erasure(one.erase, one.hash, _folders(claims.voice, one.hash))
        for one in claims.inputs
        if one.erase is not None and revision_name(claims.voice, one.hash) not in revisions
    )


def inputs_after(
    observed: Observed,
    *,
    unused: bool,
    surplus: Collection[str],
    revoked: bool,
    now: datetime,
) -> tuple[TrainedInput, ...]:
    """Return the inputs that have left something in the store after this pass, each with why it goes, if it does."""
    retention, consent = observed.voice.spec.retention, observed.voice.spec.consent
    revisions = {one.input_hash: one for one in observed.revisions}
    entries = _entries(observed, now)
    too_old = outlived(entries, now)
    found = []
    for old in entries:
        revision = revisions.get(old.hash)
        why: ErasureReason | None
        if retention.legal_hold:
            why = None
        elif revoked and consent.erase:
            why = "ErasureRequested"
        elif _exists(observed, old.hash):
            why = _why_revision(revision, unused=unused, surplus=surplus)
        elif old.published:
            why = old.erase or "RevisionDeleted"
        elif revoked:
            why = "ConsentRevoked"
        elif old.hash == observed.input_hash and not old.erase:
            why = "Unused" if unused else None
        else:
            why = old.erase or ("InputChanged" if unused or old.hash in too_old else None)
        published = old.published or revision is not None
        about = {"published": published, "digest": _digest(revision, old), "erase": why}
        found.append(old.model_copy(update=about))
    return tuple(found[-MAX_INPUTS:])


def _entries(observed: Observed, now: datetime) -> list[TrainedInput]:
    """Return what was recorded of the inputs that have left something, and whether the spec asks for them."""
    recorded, voice = recorded_inputs(observed.voice), observed.voice
    erased = {} if WHOLE not in observed.erased else dict.fromkeys(recorded)
    erased |= dict.fromkeys(observed.erased)
    found = []
    for digest in _hashes(observed):
        exists, old = _exists(observed, digest), recorded.get(digest) or TrainedInput(hash=digest)
        if exists or digest not in erased:
            wanted = digest == observed.input_hash or exists or old.published
            found.append(present(old) if wanted else left(old, voice.status, now))
    return found


def _exists(observed: Observed, digest: str) -> bool:
    """Return whether there is a VoiceRevision of an input, sealed or not."""
    revision = revision_name(observed.voice.name, digest)
    return revision in observed.unsealed or any(one.input_hash == digest for one in observed.revisions)


def recorded_inputs(voice: Voice) -> Mapping[str, TrainedInput]:
    """Return the inputs of the voice's status, by hash; none where another VoiceModel's status was restored."""
    return {one.hash: one for one in voice.status.inputs} if voice.status.inputs_of == voice.uid else {}


def recorded_stages(voice: Voice, input_hash: str | None) -> tuple[StageStatus, ...]:
    """Return what is known of the stages of an input: the one that the status is about, or one that was left."""
    if input_hash == voice.status.input_hash:
        return voice.status.stages
    return resumed_stages(recorded_inputs(voice).get(input_hash or ""))


def is_going(observed: Observed, digest: str | None) -> bool:
    """Return whether what an input has left is being erased: its VoiceRevision is gone, or it never had one."""
    recorded = recorded_inputs(observed.voice).get(digest or "")
    if recorded is None or recorded.hash in observed.erased or WHOLE in observed.erased:
        return False
    if revision_name(observed.voice.name, recorded.hash) in observed.unsealed:
        return False
    if any(one.input_hash == digest for one in observed.revisions) or observed.voice.spec.retention.legal_hold:
        return False
    return recorded.published or recorded.erase is not None


def tombstones_after(observed: Observed) -> tuple[Tombstone, ...]:
    """Return what was erased of the voice, with what was erased since the last pass."""
    known = observed.voice.status.erased
    said = (one for one in observed.erased.values() if one.objects or one.revision or one.input_hash == WHOLE)
    return (*known, *(one for one in said if one not in known))[-MAX_TOMBSTONES:]


def _why_revision(revision: ObservedRevision | None, *, unused: bool, surplus: Collection[str]) -> ErasureReason | None:
    if revision is None or revision.legal_hold:
        return None
    if unused:
        return "Unused"
    return "TooManyRevisions" if revision.name in surplus else None


def _digest(revision: ObservedRevision | None, old: TrainedInput) -> str:
    return revision.digest if revision is not None else old.digest


def _hashes(observed: Observed) -> Iterable[str]:
    """Return the hashes of all inputs that may have left something, each once."""
    recorded, status = recorded_inputs(observed.voice), observed.voice.status
    from_before = status.input_hash if status.inputs_of is None else None
    of_jobs = (job.input_hash for job in observed.jobs if job.state in {"Running", "Deleting"})
    of_revisions = (one.input_hash for one in observed.revisions)
    found = dict.fromkeys((*recorded, from_before, *of_revisions, *of_jobs, observed.input_hash))
    whole = [one for one in found if one]
    return [one for one in whole if not any(other != one and other.startswith(one) for other in whole)]  # of labels


def _folders(voice: str, digest: str) -> tuple[str, ...]:
    workspace = f"{digest}/" if len(digest) == 64 else digest
    return workspace, _bundle(revision_name(voice, digest))


def _bundle(revision: str) -> str:
    return f"revisions/{revision}/"
