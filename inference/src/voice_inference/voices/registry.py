"""The desired voices, their loaded revisions, and which one a name means; used from the event loop only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, get_args

from voice_inference.bundles.references import BaseReference, VoiceReference
from voice_inference.bundles.voice import Voice
from voice_inference.errors import AmbiguousVoice, UnknownVoice, VoiceNotReady
from voice_inference.metrics import Metrics
from voice_inference.voices.desired import DesiredVoices

State = Literal["loading", "ready", "failed"]
STATES: tuple[State, ...] = get_args(State)
MAX_LISTED_NAMES = 10  # in an error message
RETRY_AFTER_SECONDS = 2  # for a voice that is being loaded


@dataclass(frozen=True)
class Entry:
    """One desired voice; ``serving`` may still be an earlier revision."""

    desired: VoiceReference
    base: BaseReference
    serving: Voice | None = None
    error: str = ""

    @property
    def state(self) -> State:
        """State of the desired revision, whatever is served meanwhile."""
        if self.serving and self.serving.reference == self.desired and self.serving.base.reference == self.base:
            return "ready"
        return "failed" if self.error else "loading"


class VoiceRegistry:
    """Swaps are single assignments of immutable entries: a request keeps the voice that it began with."""

    def __init__(self, metrics: Metrics) -> None:
        self.generation = 0
        self.base: BaseReference | None = None
        self.base_error = ""
        self._entries: dict[str, Entry] = {}
        self._ids_by_name: dict[str, list[str]] = {}
        self._base_loaded = False
        self._ready = False
        self._metrics = metrics

    def __iter__(self) -> Iterator[Entry]:
        """Iterate over all desired voices, by id."""
        return iter(tuple(self._entries.values()))

    @property
    def ready(self) -> bool:
        """Whether this server may get requests: true for good once every desired voice has been attempted.

        A voice that cannot be loaded must not take the others out of service; but when none can, the fault may be
        here, and the pods of an earlier rollout are the better ones.
        """
        return self._ready

    def update(self, desired: DesiredVoices) -> None:
        """Replace the desired state: removed voices go at once, changed ones serve their old revision meanwhile."""
        entries = {}
        for reference in sorted(desired.voices, key=lambda voice: voice.id):
            current = self._entries.get(reference.id)
            if current is None:
                entries[reference.id] = Entry(reference, desired.base)
            elif (current.desired, current.base) == (reference, desired.base):
                entries[reference.id] = current
            else:
                entries[reference.id] = Entry(reference, desired.base, current.serving)
        names = defaultdict(list)
        for voice_id in entries:
            names[voice_id.partition("/")[2]].append(voice_id)
        self.generation, self.base = desired.generation, desired.base
        self._entries, self._ids_by_name = entries, dict(names)
        self._refresh()

    def record_base_loaded(self) -> None:
        """Record that the desired base is loaded."""
        self._base_loaded, self.base_error = True, ""
        self._refresh()

    def record_base_error(self, reference: BaseReference, error: str) -> None:
        """Record why the base cannot be loaded; every voice that waits for it shows the reason."""
        self.base_error = f"the base {reference.name} cannot be loaded: {error}"
        for voice_id, entry in self._entries.items():
            if entry.base == reference and entry.state != "ready":
                self._entries[voice_id] = replace(entry, error=self.base_error)
        self._refresh()

    def promote(self, voice: Voice) -> bool:
        """Serve the voice from now on; false when it is no longer the desired one."""
        entry = self._entries.get(voice.reference.id)
        if entry is None or (entry.desired, entry.base) != (voice.reference, voice.base.reference):
            return False
        self._entries[voice.reference.id] = Entry(entry.desired, entry.base, voice)
        self._refresh()
        return True

    def record_error(self, reference: VoiceReference, error: str) -> None:
        """Record why the revision cannot be loaded; the revision served before stays."""
        entry = self._entries.get(reference.id)
        if entry and entry.desired == reference:
            self._entries[reference.id] = replace(entry, error=error)
            self._refresh()

    def find(self, name: str) -> Voice:
        """Return the voice of ``<namespace>/<name>``, or of the bare name while only one namespace has it.

        Raises:
            UnknownVoice: no desired voice has the name.
            AmbiguousVoice: voices of several namespaces have the bare name.
            VoiceNotReady: no revision of the voice is loaded.
        """
        ids = [name] if name in self._entries else self._ids_by_name.get(name, [])
        if not ids:
            raise UnknownVoice(name, tuple(self._entries)[:MAX_LISTED_NAMES], len(self._entries))
        if len(ids) > 1:
            raise AmbiguousVoice(name, tuple(ids[:MAX_LISTED_NAMES]))
        entry = self._entries[ids[0]]
        if entry.serving is None:
            reason = f"cannot be loaded: {entry.error}" if entry.error else "is being loaded"
            raise VoiceNotReady(f"The voice {ids[0]!r} {reason}.", retry_after=RETRY_AFTER_SECONDS)
        return entry.serving

    def _refresh(self) -> None:
        """Derive readiness and metrics from the entries."""
        states = [entry.state for entry in self]
        serving = any(entry.serving for entry in self)
        all_attempted = self._base_loaded and "loading" not in states and (serving or not states)
        self._ready = self._ready or all_attempted
        self._metrics.generation.set(self.generation)
        for state in STATES:
            self._metrics.voices.labels(state).set(states.count(state))
