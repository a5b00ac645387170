"""The body of ``POST /v1/audio/speech``: OpenAI's fields, plus a seed and a language."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from voice_inference.errors import InvalidRequest

INPUT_LIMIT = 4096  # characters, as at OpenAI
FORMATS = ("wav", "pcm")


class VoiceId(BaseModel):
    """The object form of a voice."""

    id: str = Field(min_length=1, max_length=512)


class SpeechRequest(BaseModel):
    """Text, voice and options of one request."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    input: str = Field(min_length=1, max_length=INPUT_LIMIT, description="The text to speak.")
    voice: str | VoiceId = Field(
        description="`<namespace>/<name>`; a bare name where the server has a namespace for these."
    )
    model: str = Field("", max_length=256, description="Accepted for OpenAI's clients; each server has one model.")
    response_format: str = Field("wav", max_length=32, description="`wav`, or `pcm`: 16 bit, mono, little-endian.")
    speed: float = Field(1.0, ge=0.25, le=4.0, description="Only 1.0 for now.")
    instructions: str = Field("", max_length=INPUT_LIMIT, description="Accepted for OpenAI's clients; has no effect.")
    stream_format: Literal["audio", "sse"] = Field("audio", description="Only `audio` for now.")
    seed: int | None = Field(None, ge=0, lt=2**63, description="The same seed gives the same audio for the same text.")
    language: str | None = Field(None, max_length=16, description="Language of the text; the voice's own by default.")

    @property
    def voice_name(self) -> str:
        """The voice's name, of either form."""
        return self.voice if isinstance(self.voice, str) else self.voice.id

    def check_supported(self) -> None:
        """Refuse values that OpenAI's contract allows and this server does not support.

        Raises:
            InvalidRequest: names the field and the remedy.
        """
        if self.response_format not in FORMATS:
            raise InvalidRequest(
                f"response_format {self.response_format!r} is not supported; use one of {', '.join(FORMATS)}.",
                field="response_format",
            )
        if self.speed != 1.0:
            raise InvalidRequest(f"speed {self.speed:g} is not supported; use 1.0.", field="speed")
        if self.stream_format != "audio":
            raise InvalidRequest(
                f"stream_format {self.stream_format!r} is not supported; use 'audio'.", field="stream_format"
            )
        if not self.input.strip():
            raise InvalidRequest("input holds nothing but white space; give the text to speak.", field="input")
