"""The desired voices, what of them is loaded, and which one a name means; used from the event loop only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import partial
from operator import attrgetter

from voice_inference.bundles.base import Base
from voice_inference.bundles.references import BaseReference
from voice_inference.bundles.voice import Voice
from voice_inference.errors import ConsentEnded, RevisionNotLoaded, UnknownRevision, UnknownVoice, VoiceNotReady
from voice_inference.metrics import Metrics
from voice_inference.voices.desired import DesiredVoice, DesiredVoices, Revision
from voice_inference.voices.entries import STATES, Entry, Load, Role, State, identity_of

MAX_LISTED_NAMES = 10  # in an error message
RETRY_AFTER_SECONDS = 2  # for a voice that is being loaded

Clock = Callable[[], datetime]


class VoiceRegistry:
    """Swaps are single assignments of immutable entries: a request keeps the voice that it began with."""

    def __init__(self, metrics: Metrics, clock: Clock, *, bare_names: str = "") -> None:
        """``bare_names`` is the namespace whose voices may be called by their name alone; empty: none."""
        self._bare_names = bare_names
        self._clock = clock
        self._desired: DesiredVoices | None = None
        self._day: date | None = None  # in UTC, that the entries were computed for
        self._entries: dict[str, Entry] = {}
        self._expired: dict[str, date] = {}
        self._bases: dict[str, Base] = {}
        self._base_errors: dict[str, str] = {}
        self._ready = False
        self._last_used: dict[str, date] = {}  # by id
        self.since = clock().astimezone(UTC)
        """When the counting of requests began."""
        metrics.generation.set_function(lambda: self.generation)
        metrics.rejected_entries.set_function(lambda: len(self._desired.rejected) if self._desired else 0)
        for state in STATES:
            metrics.voices.labels(state).set_function(partial(self._count, "current", state))
            metrics.next_revisions.labels(state).set_function(partial(self._count, "next", state))

    def __iter__(self) -> Iterator[Entry]:
        """Iterate over all desired voices whose consent holds today, by id."""
        self._follow_calendar()
        return iter(tuple(self._entries.values()))

    @property
    def has_document(self) -> bool:
        """Whether the desired voices are known at all."""
        return self._desired is not None

    @property
    def generation(self) -> int:
        """Generation of the document in use; 0 before the first one."""
        return self._desired.generation if self._desired else 0

    @property
    def base(self) -> BaseReference | None:
        """The base that the document names for all voices without one of their own."""
        return self._desired.base if self._desired else None

    @property
    def base_error(self) -> str:
        """Why the document's base cannot be loaded; empty while that is not known."""
        return self._base_errors.get(self.base.identity, "") if self.base else ""

    @property
    def bases(self) -> tuple[BaseReference, ...]:
        """All bases that are needed: the document's own one, and those of the revisions that are loaded or shall be."""
        needed = {self.base.identity: self.base} if self.base else {}
        for entry in self._entries.values():
            for load in entry.loads:
                needed[load.revision.base.identity] = load.revision.base
            if entry.serving:
                needed.setdefault(entry.serving.base.reference.identity, entry.serving.base.reference)
        return tuple(needed.values())

    @property
    def ready(self) -> bool:
        """Whether this server may get requests: true for good once every desired voice has been attempted.

        A voice that cannot be loaded must not take the others out of service; but when none can, the fault may be
        here, and the pods of an earlier rollout are the better ones. What comes next never counts. Where no voice is
        desired, the document's base must be loaded, if it names one.
        """
        self._follow_calendar()
        self._ready = self._ready or self._all_attempted()
        return self._ready

    def update(self, desired: DesiredVoices) -> None:
        """Replace the desired state.

        Removed voices go at once. A revision that is loaded already, as the next one, is served at once; any other
        leaves the old one in service until it is loaded. Revisions and bases that nothing needs are dropped.
        """
        self._desired, self._day = desired, self._today()
        entries, expired = {}, {}
        for voice in sorted(desired.voices, key=attrgetter("id")):
            if voice.expires and voice.expires < self._day:
                expired[voice.id] = voice.expires
            else:
                entries[voice.id] = self._entry(voice)
        self._entries, self._expired = entries, expired
        known = self._last_used.items()
        self._last_used = {one: day for one, day in known if one in entries or day == self._day}
        needed = {reference.identity for reference in self.bases}
        self._bases = {identity: base for identity, base in self._bases.items() if identity in needed}
        self._base_errors = {identity: error for identity, error in self._base_errors.items() if identity in needed}

    def missing(self, role: Role) -> list[BaseReference | Revision]:
        """Return what is to be loaded for the revisions of a role: bases, then revisions whose base is loaded."""
        loads = [load for entry in self if (load := getattr(entry, role)) and load.wanted and not load.voice]
        named = [load.revision.base for load in loads]
        if self.base and role == "current":
            named.insert(0, self.base)
        bases = {reference.identity: reference for reference in named if reference.identity not in self._bases}
        return [*bases.values(), *(load.revision for load in loads if load.revision.base.identity in self._bases)]

    def loaded_base(self, reference: BaseReference) -> Base | None:
        """Return the base, if it is loaded and still needed."""
        return self._bases.get(reference.identity)

    def digests(self) -> set[str]:
        """Return the digests of all bundles that are loaded or shall be."""
        digests = {reference.digest for reference in self.bases}
        for entry in self._entries.values():
            digests.update(load.revision.digest for load in entry.loads)
            if entry.serving:
                digests.add(entry.serving.reference.digest)
        return digests

    def record_base(self, base: Base) -> None:
        """Hold the base; what waited for it is loading again."""
        self._bases[base.reference.identity] = base
        self._set_base_error(base.reference, "")

    def record_base_error(self, reference: BaseReference, error: str) -> None:
        """Record why the base cannot be loaded; every revision that waits for it shows the reason."""
        self._set_base_error(reference, f"the base {reference.name} cannot be loaded: {error}")

    def record_voice(self, voice: Voice) -> None:
        """Hold the revision, and serve it where it is the desired one; one that is no longer named is dropped."""
        identity = identity_of(voice)
        self._change(
            [voice.reference.id],
            lambda load: replace(load, voice=voice, error="") if load.revision.identity == identity else load,
        )

    def record_error(self, revision: Revision, error: str) -> None:
        """Record why the revision cannot be loaded; the one served before stays."""
        identity = revision.identity
        self._change([revision.id], lambda load: load.with_error(error) if load.revision.identity == identity else load)

    def find(self, name: str, may_use: Callable[[str], bool] = lambda _: True) -> Voice:
        """Return the voice of ``<namespace>/<name>``; a bare name means the namespace that bare names stand for.

        ``<name>@<revision>`` is that revision: the one that is served, or the one that the entry names as the previous
        one. ``may_use`` says which ids there are for whoever asks: of the others nothing shows, in words or in time.

        Raises:
            UnknownVoice: no desired voice has the name.
            UnknownRevision: the voice has it, and another revision than the one that was asked for.
            ConsentEnded: the voice is desired no longer than until a day that has passed.
            VoiceNotReady: no revision of the voice is loaded.
            RevisionNotLoaded: nobody has asked for this revision before; it is loaded from now on.
        """
        self._follow_calendar()
        asked, at, revision = name.partition("@")
        voice_id = f"{self._bare_names}/{asked}" if self._bare_names and "/" not in asked else asked
        is_visible = may_use(voice_id)
        entry = self._entries.get(voice_id) if is_visible else None
        if entry is None:
            if is_visible and voice_id in self._expired:
                raise ConsentEnded(voice_id, self._expired[voice_id])
            namespace, slash, _ = voice_id.partition("/")
            beside = [one for one in self._entries if slash and one.startswith(f"{namespace}/") and may_use(one)]
            raise UnknownVoice(name, namespace if slash else "", tuple(beside[:MAX_LISTED_NAMES]), len(beside))
        if entry.serving is None:
            error = entry.current.error
            reason = f"cannot be loaded: {error}" if error else "is being loaded"
            raise VoiceNotReady(f"The voice {voice_id!r} {reason}.", retry_after=RETRY_AFTER_SECONDS)
        voice = self._revision(entry, revision) if at else entry.serving
        last_day = None if entry.desired.names_expiry else voice.expires
        if last_day is not None and last_day < self._today():
            raise ConsentEnded(voice_id, last_day)
        self._last_used[voice_id] = self._today()
        return voice if not entry.desired.lexicon else replace(voice, lexicon=entry.desired.readings)

    def last_used(self, voice_id: str) -> date | None:
        """Return the last day (UTC) on which the voice was asked for; None: never since ``since``."""
        return self._last_used.get(voice_id)

    def _entry(self, desired: DesiredVoice) -> Entry:
        old = self._entries.get(desired.id)
        if old and old.desired is desired:
            return old
        current = self._load(desired, old)
        following = self._load(desired.next, old) if desired.next else None
        previous = self._load(desired.previous, old, wanted=False) if desired.previous else None
        return Entry(desired, current, following, previous, current.voice or (old.serving if old else None))

    def _load(self, revision: Revision, old: Entry | None, *, wanted: bool = True) -> Load:
        """Return what is known of the revision, whichever role it had before."""
        for load in old.loads if old else ():
            if load.revision.identity == revision.identity:
                return replace(load, revision=revision)
        if old and old.serving and identity_of(old.serving) == revision.identity:
            return Load(revision, old.serving)
        return Load(revision, error=self._base_errors.get(revision.base.identity, ""), wanted=wanted)

    def _revision(self, entry: Entry, revision: str) -> Voice:
        """Return the voice of a revision that may be asked for; raises as ``find``."""
        voice_id, previous = entry.desired.id, entry.previous
        if entry.serving and entry.serving.reference.revision == revision:
            return entry.serving
        if previous is None or previous.revision.revision != revision:
            named = [entry.serving.reference.revision] if entry.serving else []
            raise UnknownRevision(voice_id, revision, (*named, *([previous.revision.revision] if previous else [])))
        if previous.voice:
            return previous.voice
        self._entries[voice_id] = replace(entry, previous=replace(previous, wanted=True))
        if previous.error:
            message = f"The revision {revision} of {voice_id} cannot be loaded: {previous.error}."
            raise VoiceNotReady(message, retry_after=RETRY_AFTER_SECONDS)
        raise RevisionNotLoaded(
            f"The revision {revision} of {voice_id} is being loaded.", retry_after=RETRY_AFTER_SECONDS
        )

    def _set_base_error(self, reference: BaseReference, error: str) -> None:
        self._base_errors[reference.identity] = error
        self._change(
            self._entries,
            lambda load: load.with_error(error) if load.revision.base.identity == reference.identity else load,
        )

    def _change(self, voice_ids: Iterable[str], change: Callable[[Load], Load]) -> None:
        for voice_id in voice_ids:
            if entry := self._entries.get(voice_id):
                self._entries[voice_id] = entry.map(change)

    def _all_attempted(self) -> bool:
        if self._desired is None or self._count("current", "loading"):
            return False
        if self._entries:
            return any(entry.serving for entry in self._entries.values())
        return self.base is None or self.loaded_base(self.base) is not None

    def _count(self, role: Role, state: State) -> int:
        loads = (getattr(entry, role) for entry in self)
        return sum(load is not None and load.state == state for load in loads)

    def _follow_calendar(self) -> None:
        """Compute all anew on another day: a consent ends at midnight, whether or not a source answers."""
        if self._desired and self._day != self._today():
            self.update(self._desired)

    def _today(self) -> date:
        return self._clock().astimezone(UTC).date()
