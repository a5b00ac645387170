"""Which voices a server must load and serve: derived from all voices on every pass, never remembered."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from voice_operator.api.lexicon import Reading
from voice_operator.api.voice_model import Consent, Review
from voice_operator.api.voice_status import Artifacts, Loading, TrainedInput
from voice_operator.reconcile.consent import consent_problem
from voice_operator.reconcile.erasure import Claims, Copied, Served, erasures_of
from voice_operator.reconcile.names import revision_uri
from voice_operator.reconcile.observed import DesiredRevision, DesiredVoice, RevisionRecord
from voice_operator.reconcile.permission import is_permitted
from voice_operator.reconcile.seals import SealedRevision

Sealed = Callable[[str, Artifacts], SealedRevision | None]  # of a voice, what its status names
Recorded = Callable[[str, str], RevisionRecord | None]  # of a voice, the revision of a name


@dataclass(frozen=True)
class VoiceRecord:
    """What is kept of each VoiceModel: enough for the lists of all servers, and the object itself for its own pass."""

    id: str
    uid: str
    generation: int
    deleting: bool
    consent: Consent | None  # None: the spec cannot be read, so nothing is permitted
    created: str = ""  # RFC 3339, so that texts sort by time
    review: Review | None = field(default_factory=Review)  # None: the spec cannot be read
    requester: str = ""  # who changed the spec last; empty: nobody says
    requested_server: str = ""  # spec.serving.server
    lexicon: tuple[Reading, ...] = ()  # spec.lexicon
    phase: str = ""  # status.phase
    reason: str = field(default="", compare=False)  # of the condition Ready
    server: str | None = None  # status.server
    artifacts: Artifacts | None = None
    loading: Loading | None = None
    active_revision: str | None = None  # status.activeRevision
    previous_revision: str | None = None  # status.previousRevision
    revoked_at: str | None = None  # status.revokedAt
    legal_hold: bool = False  # spec.retention.legalHold
    copied: Copied | None = None  # status.hubCopy, unless nothing is there
    has_trained: bool = False  # its status names an input
    going: tuple[TrainedInput, ...] = ()  # inputs of its status that are to be erased
    size: int = field(default=0, compare=False)  # bytes of labels, annotations and spec, as JSON
    packed: bytes = field(default=b"", repr=False, compare=False)  # the object, compressed

    @property
    def claims(self) -> Claims:
        """What the voice says about its files."""
        revoked = self.revoked_at is not None or (self.consent is not None and self.consent.revoked)
        name = self.id.partition("/")[2]
        return Claims(name, self.consent, revoked=revoked, legal_hold=self.legal_hold, inputs=self.going)

    @property
    def served(self) -> Served | None:
        """What its status says is served."""
        if not self.active_revision or self.artifacts is None:
            return None
        return Served(revision=self.active_revision, digest=self.artifacts.digest)

    @property
    def namespace(self) -> str:
        """The voice's namespace."""
        return self.id.partition("/")[0]

    @property
    def servers(self) -> frozenset[str]:
        """The servers whose list may contain the voice, as namespace/name."""
        loading = {self.loading.server} if self.loading else set()
        return frozenset(loading | ({self.server} if self.server else set()))


def desired_voices(
    records: Iterable[VoiceRecord],
    server: str,
    now: datetime,
    *,
    storage: str,
    sealed: Sealed,
    recorded: Recorded = lambda _, __: RevisionRecord(),
    must_be_reviewed: bool = False,
    revoked: Callable[[VoiceRecord], bool] = lambda _: False,
) -> tuple[DesiredVoice, ...]:
    """Return the voices of a server, by id. Only voices and their revisions count: no base, no store, no server object.

    A status only chooses among the sealed revisions of its voice that people permit: ``recorded`` tells what one says
    about them, ``must_be_reviewed`` whether the installation asks for a review of every voice, ``revoked``
    whether a revocation covers it that was not made on this object. Addresses follow from names and ``storage``.
    """

    def bundle(record: VoiceRecord, artifacts: Artifacts | None) -> DesiredRevision | None:
        found = None if artifacts is None else sealed(record.id, artifacts)
        if found is None:
            return None
        permitted = permits(record, found, recorded(record.id, found.revision), must_be_reviewed=must_be_reviewed)
        if not permitted:
            return None
        return _bundle(found, storage)

    def earlier(record: VoiceRecord) -> DesiredRevision | None:
        name = record.previous_revision
        if not name or record.artifacts is None or recorded(record.id, name) is None:
            return None  # it may have been one, and is deleted
        return bundle(record, record.artifacts.model_copy(update={"revision": name}))

    permitted = (record for record in records if _permitted(record, now) and not revoked(record))
    found = (_desired(record, server, bundle, earlier) for record in permitted)
    return tuple(sorted((voice for voice in found if voice is not None), key=lambda voice: voice.id))


def concerns_lists(old: VoiceRecord | None, new: VoiceRecord | None) -> bool:
    """Return whether the list of a server may differ between two states of a voice."""
    return _for_lists(old) != _for_lists(new)


def concerns_folder(old: VoiceRecord | None, new: VoiceRecord | None) -> bool:
    """Return whether files of a voice may have to be erased, or to be told apart from those of another voice."""
    if new is None:
        return True
    going = erasures_of(new.claims, ())
    if old is None or old.uid != new.uid:
        return old is not None or new.has_trained or bool(going)
    return _for_marker(old) != _for_marker(new) or (bool(going) and going != erasures_of(old.claims, ()))


def forbids(record: VoiceRecord | None) -> bool:
    """Return whether nothing may be served or trained, on whatever day."""
    if record is None or record.deleting or record.consent is None:
        return True
    return record.consent.revoked or record.revoked_at is not None


def withdraws(old: VoiceRecord | None, new: VoiceRecord | None) -> bool:
    """Return whether a change may take a permission away: deletion, revocation, another consent."""
    return new is None or forbids(new) or (old is not None and old.consent != new.consent)


def seconds_until_expiry(voices: Iterable[DesiredVoice], now: datetime) -> float | None:
    """Return the seconds until the first consent of a list ends; None: none does."""
    ends = [end for voice in voices if (end := end_of_consent(voice.expires)) is not None]
    return max((min(ends) - now).total_seconds(), 0.0) if ends else None


def end_of_consent(expires: str | None) -> datetime | None:
    """Return the end of the last permitted day; None: there is none, no clock reaches it, or it is no day."""
    try:
        day = date.fromisoformat(expires) if expires else None
        return None if day is None else datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
    except (ValueError, OverflowError):  # 9999-12-31 has no day after it
        return None


def _permitted(record: VoiceRecord, now: datetime) -> bool:
    if record.deleting or record.consent is None:
        return False
    return consent_problem(record.consent, now, revoked_at=record.revoked_at) is None


def permits(
    record: VoiceRecord, sealed: SealedRevision, recorded: RevisionRecord | None, *, must_be_reviewed: bool
) -> bool:
    """Return whether people permit to serve a revision; ``recorded`` is what it says about them, None: not known.

    Of a revision that is not known nobody can say who approved it.
    """
    if record.consent is None or record.review is None:
        return False
    if recorded is None:
        return not record.review.required
    active = sealed.revision == record.active_revision
    people = record.consent, record.review, record.requester
    return is_permitted(recorded, *people, active=active, floor=must_be_reviewed)


def _desired(
    record: VoiceRecord,
    server: str,
    bundle: Callable[[VoiceRecord, Artifacts | None], DesiredRevision | None],
    earlier: Callable[[VoiceRecord], DesiredRevision | None],
) -> DesiredVoice | None:
    """Return what a server must do for a voice: it holds two revisions at most, and for both one base where it can."""
    served = bundle(record, record.artifacts if record.server == server else None)
    loading = record.loading.artifacts if record.loading and record.loading.server == server else None
    following = bundle(record, loading)
    shown = served or following
    if shown is None or record.consent is None:
        return None
    return DesiredVoice(
        id=record.id,
        revision=shown.revision,
        uri=shown.uri,
        digest=shown.digest,
        base=shown.base,
        expires=record.consent.expires,
        next=following if served else None,
        previous=_comparable(served, earlier(record)) if served and not following else None,
        seal=shown.seal,
        spec_digest=shown.spec_digest,
        lexicon=record.lexicon,
    )


def _comparable(served: DesiredRevision, earlier: DesiredRevision | None) -> DesiredRevision | None:
    """Return the revision before, where it is another one and needs no base of its own."""
    if earlier is None or earlier.revision == served.revision or earlier.base is None or served.base is None:
        return None
    return earlier if earlier.base.is_same_as(served.base) else None


def _bundle(found: SealedRevision, storage: str) -> DesiredRevision:
    namespace, _, name = found.voice.partition("/")
    return DesiredRevision(
        revision=found.revision,
        uri=revision_uri(storage, namespace, name, found.input_hash),
        digest=found.digest,
        base=found.base,
        seal=found.seal,
        spec_digest=found.spec_digest,
    )


def _for_marker(record: VoiceRecord) -> object:
    return record.legal_hold, record.has_trained, record.served, record.copied


def _for_lists(record: VoiceRecord | None) -> object:
    if record is None or record.deleting or record.consent is None:
        return None
    people = record.consent, record.review, record.requester, record.active_revision, record.revoked_at
    return people, record.previous_revision, record.server, record.artifacts, record.loading, record.lexicon
