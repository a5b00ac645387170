"""The voices that must be served, those that are, and which one a name means; used from the event loop only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from voice_inference.bundles.references import BaseReference, VoiceReference
from voice_inference.bundles.voice import Voice
from voice_inference.errors import AmbiguousVoice, UnknownVoice, VoiceNotReady
from voice_inference.metrics import Metrics
from voice_inference.voices.desired import DesiredVoices

State = Literal["loading", "ready", "failed"]
STATES: tuple[State, ...] = ("loading", "ready", "failed")
SHOWN = 10  # names in an error message
LOADING_RETRY_SECONDS = 2


@dataclass(frozen=True)
class Entry:
    """One desired voice; ``serving`` may still be an earlier revision."""

    wanted: VoiceReference
    base: BaseReference
    serving: Voice | None = None
    error: str = ""

    @property
    def state(self) -> State:
        """How far the desired revision has come, whatever is served meanwhile."""
        if self.serving and self.serving.reference == self.wanted and self.serving.base.reference == self.base:
            return "ready"
        return "failed" if self.error else "loading"


class Voices:
    """Swaps are single assignments of immutable entries: a request keeps the voice that it began with."""

    def __init__(self, metrics: Metrics) -> None:
        self.generation = 0
        self.base: BaseReference | None = None
        self.base_error = ""
        self._entries: dict[str, Entry] = {}
        self._ids_by_name: dict[str, list[str]] = {}
        self._base_loaded = False
        self._reached = False
        self._metrics = metrics

    def __iter__(self) -> Iterator[Entry]:
        """All desired voices, by id."""
        return iter(tuple(self._entries.values()))

    @property
    def ready(self) -> bool:
        """Whether this server may get requests: true for good once all that was desired had been tried.

        A voice that cannot be loaded must not take the others out of service; but when none can, the fault may be
        here, and the pods of an earlier rollout are the better ones.
        """
        return self._reached

    def follow(self, desired: DesiredVoices) -> None:
        """Take over the desired state: removed voices go at once, changed ones serve their old revision meanwhile."""
        entries = {}
        for wanted in sorted(desired.voices, key=lambda voice: voice.id):
            known = self._entries.get(wanted.id)
            if known is None:
                entries[wanted.id] = Entry(wanted, desired.base)
            elif (known.wanted, known.base) == (wanted, desired.base):
                entries[wanted.id] = known
            else:
                entries[wanted.id] = Entry(wanted, desired.base, known.serving)
        names = defaultdict(list)
        for voice_id in entries:
            names[voice_id.partition("/")[2]].append(voice_id)
        self.generation, self.base = desired.generation, desired.base
        self._entries, self._ids_by_name = entries, dict(names)
        self._changed()

    def base_loaded(self) -> None:
        """Note that there is a base to serve with."""
        self._base_loaded, self.base_error = True, ""
        self._changed()

    def fail_base(self, reference: BaseReference, error: str) -> None:
        """Note why there is no such base; every voice that waits for it shows the reason."""
        self.base_error = f"the base {reference.name} cannot be loaded: {error}"
        for voice_id, entry in self._entries.items():
            if entry.base == reference and entry.state != "ready":
                self._entries[voice_id] = replace(entry, error=self.base_error)
        self._changed()

    def put(self, voice: Voice) -> bool:
        """Serve the voice from now on; false when it is no longer the desired one."""
        entry = self._entries.get(voice.reference.id)
        if entry is None or (entry.wanted, entry.base) != (voice.reference, voice.base.reference):
            return False
        self._entries[voice.reference.id] = Entry(entry.wanted, entry.base, voice)
        self._changed()
        return True

    def fail(self, reference: VoiceReference, error: str) -> None:
        """Note why the revision cannot be served; what was served before goes on."""
        entry = self._entries.get(reference.id)
        if entry and entry.wanted == reference:
            self._entries[reference.id] = replace(entry, error=error)
            self._changed()

    def find(self, name: str) -> Voice:
        """Return the voice of ``<namespace>/<name>``, or of the bare name while only one namespace has it.

        Raises:
            UnknownVoice, AmbiguousVoice, VoiceNotReady: see there.
        """
        ids = [name] if name in self._entries else self._ids_by_name.get(name, [])
        if not ids:
            raise UnknownVoice(name, tuple(self._entries)[:SHOWN], len(self._entries))
        if len(ids) > 1:
            raise AmbiguousVoice(name, tuple(ids[:SHOWN]))
        entry = self._entries[ids[0]]
        if entry.serving is None:
            why = f"cannot be loaded: {entry.error}" if entry.error else "is being loaded"
            raise VoiceNotReady(f"The voice {ids[0]!r} {why}.", retry_after=LOADING_RETRY_SECONDS)
        return entry.serving

    def _changed(self) -> None:
        states = [entry.state for entry in self]
        serving = any(entry.serving for entry in self)
        tried = self._base_loaded and "loading" not in states and (serving or not states)
        self._reached = self._reached or tried
        self._metrics.generation.set(self.generation)
        for state in STATES:
            self._metrics.voices.labels(state).set(states.count(state))
