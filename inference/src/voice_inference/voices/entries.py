"""What is known of one desired voice: which of its revisions are loaded, and which of these speaks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, get_args

from voice_inference.bundles.voice import Voice
from voice_inference.voices.desired import DesiredVoice, Identity, Revision

State = Literal["loading", "ready", "failed"]
STATES: tuple[State, ...] = get_args(State)
Role = Literal["current", "next", "previous"]


@dataclass(frozen=True)
class Load:
    """One revision on its way into memory; one that is not ``wanted`` waits until somebody asks for it."""

    revision: Revision
    voice: Voice | None = None
    error: str = ""
    wanted: bool = True

    @property
    def state(self) -> State:
        """Whether the revision is in memory."""
        if self.voice:
            return "ready"
        return "failed" if self.error else "loading"

    def with_error(self, error: str) -> Load:
        """Return the load after an attempt that failed; empty: the next attempt may succeed."""
        return self if self.voice else replace(self, error=error)


@dataclass(frozen=True)
class Entry:
    """One desired voice; ``serving`` may still be an earlier revision, ``previous`` answers by its own name alone."""

    desired: DesiredVoice
    current: Load
    next: Load | None = None
    previous: Load | None = None
    serving: Voice | None = None

    @property
    def loads(self) -> tuple[Load, ...]:
        """The revisions that must be in memory."""
        return tuple(load for load in (self.current, self.next, self.previous) if load and load.wanted)

    def map(self, change: Callable[[Load], Load]) -> Entry:
        """Return the entry with its loads changed; the desired revision is served as soon as it is loaded."""
        current = change(self.current)
        return replace(
            self,
            current=current,
            next=self.next and change(self.next),
            previous=self.previous and change(self.previous),
            serving=current.voice or self.serving,
        )


def identity_of(voice: Voice) -> Identity:
    """Return by what a loaded revision is known to be the one that a document names."""
    return voice.reference.id, voice.reference.revision, voice.reference.digest, voice.base.reference.identity
