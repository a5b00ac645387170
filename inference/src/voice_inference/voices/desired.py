"""The desired-voices document: what to serve, until which day, what to load beside it and what may be asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Field, Strict, ValidationError

from sovits_core.bundle.base import LexiconWord
from sovits_core.errors import LexiconRejected
from sovits_core.text.lexicon import Lexicon
from sovits_core.validation import one_line
from voice_inference.bundles.references import BaseReference, Document, VoiceReference
from voice_inference.errors import InvalidDocument
from voice_inference.voices.seals import Seals

SCHEMA = "voice.sovits.dev/desired-voices/v1"
MAX_VOICES = 50_000
MAX_SHARDS = 256
MAX_LEXICON = 200
OTHERS = ("next", "previous")  # revisions of an entry beside the one to serve
MAX_ID_CHARACTERS = 80  # of an entry that is no voice, in the sentence about it

Identity = tuple[str, str, str, str]
Day = Annotated[date, Strict(strict=False)]  # JSON has no dates, so it is read from text


class Revision(VoiceReference):
    """One revision of a voice, and the base that it is for."""

    base: BaseReference
    seal: str = Field("", max_length=256)
    spec: str = Field("", max_length=71)  # digest of the revision's record, which the seal covers

    @cached_property
    def identity(self) -> Identity:
        """Equal for the same bytes, wherever they lie: a bundle that was copied elsewhere is not loaded twice."""
        return self.id, self.revision, self.digest, self.base.identity


class DesiredVoice(Revision):
    """The revision to serve, the one to load beside it, and the one before it, which may be asked for by its name."""

    generation: int  # of the shard that lists the voice
    expires: Day | None = None  # the last day, in UTC, on which the consent holds; written as null: without end
    next: Revision | None = None
    previous: Revision | None = None
    lexicon: tuple[LexiconWord, ...] = Field((), max_length=MAX_LEXICON)

    @cached_property
    def readings(self) -> Lexicon:
        """The lexicon, parsed."""
        return Lexicon.of(entry.entry for entry in self.lexicon)

    @property
    def names_expiry(self) -> bool:
        """Whether the entry says until when the consent holds: it may have been renewed since the bundle was made."""
        return "expires" in self.model_fields_set


@dataclass(frozen=True)
class DesiredVoices:
    """All that a server must serve, or one shard of it."""

    generation: int
    base: BaseReference | None
    voices: tuple[DesiredVoice, ...]
    rejected: tuple[str, ...] = ()  # one sentence for each entry that is not valid, and therefore not among `voices`
    shard: int = 0
    shards: int = 1
    token: str = field(default="", repr=False)  # by which the operator tells them; empty: it asks for none


class WrittenDocument(Document):
    """The document without a look at its entries: one that is wrong must not hide a revocation beside it."""

    schema_: Literal["voice.sovits.dev/desired-voices/v1"] = Field(alias="schema")
    generation: int = Field(ge=0)
    shard: int = Field(0, ge=0)
    shards: int = Field(1, ge=1, le=MAX_SHARDS)
    base: BaseReference | None = None
    token: str = Field("", pattern="^[!-~]*$", max_length=256)
    voices: tuple[Any, ...] = Field(max_length=MAX_VOICES)


def parse_desired(data: bytes, *, source: str, seals: Seals | None = None) -> DesiredVoices:
    """Parse the document; entries that are not valid are left out, with a sentence each.

    With ``seals``, so are those that are not sealed. A next or previous revision without a seal is left out alone.

    Raises:
        InvalidDocument: a field of the document itself is missing or wrong.
    """
    try:
        written = WrittenDocument.model_validate_json(data)
    except ValidationError as error:
        raise InvalidDocument(f"the desired voices from {source} are not valid: {one_line(error)}") from error
    voices: dict[str, DesiredVoice] = {}
    rejected = []
    for index, given in enumerate(written.voices):
        entry, unreadable = _with_readable_lexicon(given)
        rejected += [f"voices.{index}{_id_of(entry)}: {sentence}" for sentence in unreadable]
        try:
            voice = DesiredVoice.model_validate(_completed(entry, written))
        except ValidationError as error:
            rejected.append(f"voices.{index}{_id_of(entry)}: {one_line(error)}")
            continue
        if not _is_sealed(voice, seals):
            rejected.append(f"voices.{index}{_id_of(entry)}: {_not_sealed(voice)}")
            continue
        for role in OTHERS:
            other: Revision | None = getattr(voice, role)
            if other and not _is_sealed(other, seals):
                rejected.append(f"voices.{index}.{role}{_id_of(entry)}: {_not_sealed(other)}")
                voice = voice.model_copy(update={role: None})
        if voices.setdefault(voice.id, voice) is not voice:
            rejected.append(f"voices.{index}{_id_of(entry)}: the voice is listed twice")
    return DesiredVoices(
        written.generation,
        written.base,
        tuple(voices.values()),
        tuple(rejected),
        written.shard,
        written.shards,
        written.token,
    )


def _with_readable_lexicon(entry: Any) -> tuple[Any, list[str]]:
    """Return the entry without words that cannot be read, and a sentence for each: they must not silence the voice."""
    if not isinstance(entry, Mapping) or not isinstance(entry.get("lexicon"), list):
        return entry, []
    kept, sentences = [], []
    for number, written in enumerate(entry["lexicon"][:MAX_LEXICON]):
        try:
            word = LexiconWord.model_validate(written)
            Lexicon.of([word.entry])
        except ValidationError as error:
            sentences.append(f"lexicon.{number}: {one_line(error)}")
        except LexiconRejected as error:
            sentences.append(str(error))
        else:
            kept.append(word)
    return {**entry, "lexicon": tuple(kept)}, sentences


def _completed(entry: Any, document: WrittenDocument) -> Any:
    """Return the entry with what it leaves to its document, and its other revisions with what they leave to both."""
    if not isinstance(entry, Mapping):
        return entry  # which no voice is
    others = {
        role: {**other, "id": entry.get("id"), "base": other.get("base") or document.base}
        for role in OTHERS
        if isinstance(other := entry.get(role), Mapping)
    }
    return {**entry, "generation": document.generation, "base": entry.get("base") or document.base, **others}


def _is_sealed(revision: Revision, seals: Seals | None) -> bool:
    return seals is None or seals.accepts(revision, seal=revision.seal, spec=revision.spec)


def _not_sealed(revision: Revision) -> str:
    return f"the operator did not sign revision {revision.revision}, so it is not served"


def _id_of(entry: Any) -> str:
    return f" ({entry.get('id')!r:.{MAX_ID_CHARACTERS}})" if isinstance(entry, Mapping) else ""
