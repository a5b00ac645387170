"""What GPT-SoVITS' own clients send to ``/tts`` (api_v2.py), and what it means here."""

from __future__ import annotations

import re
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from voice_inference.api.documented import nullable
from voice_inference.api.speech_request import INPUT_LIMIT, MAX_SEED, SpeechRequest
from voice_inference.errors import InvalidRequest

FORMATS: Final = {"wav": "wav", "raw": "pcm", "ogg": "opus", "aac": "aac"}
LANGUAGES: Final = {"auto": None, "auto_yue": None}  # the voice's own; all_zh and the like are zh and the like
IGNORED: Final = ("aux_ref_audio_paths", "prompt_text", "sample_steps", "super_sampling")
_PATH: Final = re.compile(r"^[/~.]|\\\\|\\.(wav|mp3|flac|ogg|m4a)$", re.IGNORECASE)


def _described(schema: dict[str, Any]) -> None:
    nullable(schema)
    schema["examples"] = [{"text": "Good morning.", "text_lang": "en", "ref_audio_path": "studio/alice"}]


class ClientRequest(BaseModel):
    """A request of a client of GPT-SoVITS: null and the empty string mean left out."""

    @model_validator(mode="before")
    @classmethod
    def _empty_is_absent(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {name: value for name, value in given.items() if value is not None and value != ""}


def language_of(text_lang: str) -> str | None:
    """Return the language that such a client means; None: the voice's own."""
    language = text_lang.lower().removeprefix("all_")
    return LANGUAGES.get(language, language)


class OfficialRequest(ClientRequest):
    """The fields of api_v2 that mean something here; null and the empty string mean left out."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        json_schema_extra=_described,
    )

    text: str = Field(min_length=1, max_length=INPUT_LIMIT)
    ref_audio_path: str = Field(min_length=1, max_length=512, description="The voice's name: no file is read here.")
    text_lang: str = Field("auto", max_length=16, description="`auto` is the voice's own language.")
    text_split_method: Literal["cut0", "cut1", "cut2", "cut3", "cut4", "cut5"] = "cut5"
    top_k: int = Field(15, ge=1, le=1024)
    top_p: float = Field(1.0, gt=0, le=1)
    temperature: float = Field(1.0, ge=0, le=10)
    repetition_penalty: float = Field(1.35, gt=0, le=10)
    speed_factor: float = Field(1.0, ge=0.25, le=4.0)
    seed: int = Field(-1, ge=-1, le=MAX_SEED, description="-1: a new one.")
    media_type: Literal["wav", "raw", "ogg", "aac"] = Field("wav", description="`ogg` holds Opus.")
    streaming_mode: bool | Literal[0, 1, 2, 3] = False
    aux_ref_audio_paths: list[str] = Field([], description="Without effect: a voice has its recordings with it.")
    prompt_text: str = Field("", description="Without effect.")
    sample_steps: int | None = Field(None, description="Without effect: of v3 and v4.")
    super_sampling: bool = Field(False, description="Without effect: of v3.")

    @property
    def ignored(self) -> tuple[str, ...]:
        """Fields that were given and have no effect."""
        return tuple(name for name in IGNORED if getattr(self, name))

    def meaning(self) -> SpeechRequest:
        """Return the request that it is here.

        Raises:
            InvalidRequest: the reference is a path on somebody's server.
        """
        if _PATH.search(self.ref_audio_path):
            raise InvalidRequest(
                f"ref_audio_path: {self.ref_audio_path[:100]!r} is a path; this server reads no files. Give a voice's "
                "name, <namespace>/<name>; GET /v1/voices lists them.",
                field="ref_audio_path",
            )
        return SpeechRequest.model_validate(
            {
                "input": self.text,
                "voice": self.ref_audio_path,
                "language": language_of(self.text_lang),
                "response_format": FORMATS[self.media_type],
                "speed": self.speed_factor,
                "seed": None if self.seed < 0 else self.seed,
                "split_method": self.text_split_method,
                "top_k": self.top_k,
                "top_p": self.top_p,
                "temperature": self.temperature,
                "repetition_penalty": self.repetition_penalty,
            }
        )
