"""Whoever asks, once that is known: a name for logs and counters, the voices of its scope, its limits."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

_LABEL: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_PATTERN: Final = re.compile(rf"({_LABEL}|\*)/([a-z0-9][-a-z0-9.]*\*?|\*)")
MAX_PATTERNS: Final = 256


def _checked(pattern: str) -> str:
    if len(pattern) > 320 or not _PATTERN.fullmatch(pattern):
        raise ValueError(
            f"{pattern[:80]!r} names no voices; write namespace/name, namespace/begin* or namespace/*, and */* for all"
        )
    return pattern


VoicePattern = Annotated[str, AfterValidator(_checked)]


@dataclass(frozen=True)
class Scope:
    """The voices that a caller may use; those of no pattern do not exist for it."""

    patterns: tuple[str, ...]

    def allows(self, voice_id: str) -> bool:
        """Return whether a voice, ``<namespace>/<name>``, is within the scope; takes the same time for every id."""
        namespace, slash, name = voice_id.partition("/")
        return bool(slash) and any([_matches(pattern, namespace, name) for pattern in self.patterns])  # noqa: C419 -- all

    @property
    def has_everything(self) -> bool:
        """Whether no voice is outside."""
        return "*/*" in self.patterns


def _matches(pattern: str, namespace: str, name: str) -> bool:
    own, _, wanted = pattern.partition("/")
    named = name.startswith(wanted[:-1]) if wanted.endswith("*") else name == wanted
    return named and own in {"*", namespace}


class Limits(BaseModel):
    """The most that one caller may ask of one server process; 0: no limit of its own."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, validate_by_name=True)

    requests_per_minute: int = Field(0, ge=0, le=1_000_000)
    concurrency: int = Field(0, ge=0, le=10_000)
    characters_per_minute: int = Field(0, ge=0, le=1_000_000_000)
    characters_per_day: int = Field(0, ge=0, le=1_000_000_000_000)


NO_LIMITS: Final = Limits()


@dataclass(frozen=True)
class Caller:
    """Who asks. ``id`` is a key's id, ``serviceaccount:<namespace>/<name>`` or ``oidc:<subject>``; empty: anybody."""

    id: str
    scope: Scope
    limits: Limits = NO_LIMITS


EVERYTHING: Final = Scope(("*/*",))
ANYBODY: Final = Caller("", EVERYTHING)
OPERATOR: Final = Caller("voice-operator:", EVERYTHING)
