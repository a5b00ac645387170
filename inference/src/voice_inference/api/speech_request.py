"""The body of ``POST /v1/audio/speech``: OpenAI's fields, plus a seed and a language."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from sovits_core.errors import LexiconRejected, TextRejected
from sovits_core.synthesis.sampling import Sampling
from sovits_core.text.lexicon import MAX_READING, MAX_WORD, Alphabet, Lexicon, LexiconEntry
from sovits_core.text.locales import require_locale
from voice_inference.api.documented import nullable
from voice_inference.bundles.voice import Voice
from voice_inference.engine.captions import CaptionFormat
from voice_inference.errors import InvalidRequest

INPUT_LIMIT = 4096  # characters, as at OpenAI
MAX_SEED = 2**53 - 1  # larger numbers are not the same in every reader of JSON (RFC 8259)
LEXICON_LIMIT = 200  # entries of one request
SAMPLING = ("top_k", "top_p", "temperature", "repetition_penalty")


class VoiceId(BaseModel):
    """The object form of a voice."""

    id: str = Field(min_length=1, max_length=512)


class LexiconItem(BaseModel):
    """How one word is read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    word: str = Field(min_length=1, max_length=MAX_WORD, description="The word as the text writes it.")
    reading: str = Field(
        min_length=1,
        max_length=MAX_READING,
        description="Phones or syllables with spaces between them, or a spelling: `K UW2 B ER0 N EH1 T IY0 Z`.",
    )
    alphabet: Alphabet = Field(
        "cmu",
        description="What the reading is written in: `cmu` (ARPAbet) and `ipa` for English, `pinyin` for Mandarin, "
        "`jyutping` for Cantonese, `kana` for Japanese, `hangul` for Korean.",
    )


def _described(schema: dict[str, Any]) -> None:
    nullable(schema)
    schema["examples"] = [{"input": "Good morning.", "voice": "studio/alice"}]


class SpeechRequest(BaseModel):
    """Text, voice and options of one request; null means left out."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        json_schema_extra=_described,
    )

    input: str = Field(min_length=1, max_length=INPUT_LIMIT, description="The text to speak.")
    voice: str | VoiceId = Field(
        description=(
            "`<namespace>/<name>`; a bare name where the server has a namespace for these, or where it is an alias."
        )
    )
    model: str = Field("", max_length=256, description="Accepted for OpenAI's clients; the voice says which base.")
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm", "vtt", "srt"] = Field(
        "mp3",
        description=(
            "`mp3`, `opus` (Ogg), `aac` (ADTS) and `pcm` (16 bit, mono, little-endian) begin while the rest is still "
            "spoken; `wav` and `flac` come as a whole, with their length in the header. `vtt` and `srt` are captions "
            "of what the other formats say with the same seed."
        ),
    )
    speed: float = Field(1.0, ge=0.25, le=4.0, description="2 is twice as fast; the pitch stays.")
    instructions: str = Field("", max_length=INPUT_LIMIT, description="Accepted for OpenAI's clients; has no effect.")
    stream_format: Literal["audio", "sse"] = Field(
        "audio", description="`sse`: the audio in base64, as OpenAI's server-sent events."
    )
    timestamps: Literal["sentence", "word"] | None = Field(
        None,
        description=(
            "With `sse`, an event after each sentence that tells when it is heard; `word`, English only: its words too."
            " With `vtt` and `srt`, what has a cue."
        ),
    )
    verify: bool | None = Field(
        None,
        description=(
            "English only: listen to each sentence, and speak it again where words are missing, at most twice. "
            "Sentences then come whole. The server's own choice by default."
        ),
    )
    top_k: int | None = Field(None, ge=1, le=1024, description="Draw from the likeliest so many tokens.")
    top_p: float | None = Field(None, gt=0, le=1, description="Draw from the likeliest tokens up to this probability.")
    temperature: float | None = Field(None, ge=0, le=10, description="Below 1 steadier, above 1 livelier.")
    repetition_penalty: float | None = Field(
        None, gt=0, le=10, description="Above 1: tokens that were said count less."
    )
    split_method: Literal["", "cut0", "cut1", "cut2", "cut3", "cut4", "cut5"] = Field(
        "", description="A split method of GPT-SoVITS, instead of sentences."
    )
    seed: int | None = Field(
        None, ge=0, le=MAX_SEED, description="The same seed gives the same audio for the same text."
    )
    language: str | None = Field(None, max_length=16, description="Language of the text; the voice's own by default.")
    locale: str | None = Field(
        None,
        max_length=16,
        description="How the text writes dates and numbers, as `en-GB`; the voice's own way by default.",
    )

    lexicon: list[LexiconItem] = Field(
        default=[], max_length=LEXICON_LIMIT, description="Readings of words that go before those of the front end."
    )

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, given: Any) -> Any:
        return {name: value for name, value in given.items() if value is not None} if isinstance(given, dict) else given

    @property
    def voice_name(self) -> str:
        """The voice's name, of either form."""
        return self.voice if isinstance(self.voice, str) else self.voice.id

    @property
    def ignored(self) -> tuple[str, ...]:
        """Fields that were given and have no effect."""
        return tuple(name for name in ("instructions",) if getattr(self, name))

    def check_supported(self) -> None:
        """Refuse a text without a word, and fields that do not go together.

        Raises:
            InvalidRequest: names the field and the remedy.
        """
        if not self.input.strip():
            raise InvalidRequest("input holds nothing but white space; give the text to speak.", field="input")
        if self.caption_format and self.stream_format == "sse":
            raise InvalidRequest(
                f"response_format {self.response_format!r} is no audio; with stream_format 'sse' use timestamps.",
                field="response_format",
            )
        if self.timestamps and not self.caption_format and self.stream_format != "sse":
            raise InvalidRequest(
                "timestamps come with stream_format 'sse', or as response_format 'vtt' or 'srt'.", field="timestamps"
            )

    def known_locale(self) -> str:
        """Return the locale; empty: the voice's own.

        Raises:
            InvalidRequest: it is not known; those that are known are named.
        """
        try:
            require_locale(self.locale or "")
        except TextRejected as error:
            raise InvalidRequest(f"{error}.", field="locale") from error
        return self.locale or ""

    def readings(self) -> Lexicon:
        """Return the lexicon.

        Raises:
            InvalidRequest: names the entry that cannot be read, and the remedy.
        """
        try:
            return Lexicon.of(LexiconEntry(item.word, item.reading, item.alphabet) for item in self.lexicon)
        except LexiconRejected as error:
            raise InvalidRequest(f"{error}.", field="lexicon") from error

    def sampling(self, voice: Voice) -> Sampling:
        """Return how tokens are chosen: as the base says, where the request does not."""
        own = {name: getattr(self, name) for name in SAMPLING}
        return replace(
            voice.base.document.sampling.choice(), **{name: one for name, one in own.items() if one is not None}
        )

    @property
    def caption_format(self) -> CaptionFormat | None:
        """The format of captions, where these are asked for instead of audio."""
        return self.response_format if self.response_format in {"vtt", "srt"} else None
