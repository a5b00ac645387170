"""What SillyTavern's two clients of GPT-SoVITS send to ``/``, and what it means here.

`gpt-sovits-v2.js` names the voice by a recording in a folder of its own, `gpt-sovits-adapter.js` by `target_voice`.
"""

from __future__ import annotations

import re
from typing import Any, Final, Literal

from pydantic import ConfigDict, Field

from voice_inference.api.documented import nullable
from voice_inference.api.official_request import ClientRequest, language_of
from voice_inference.api.speech_request import INPUT_LIMIT, SpeechRequest
from voice_inference.errors import InvalidRequest

FORMATS: Final = {"auto": "mp3", "ogg": "opus"}  # the others have the same name
_RECORDING: Final = re.compile(r"\./[^/\\.]+/(?P<voice>[^\\]+)\.wav")


def _described(schema: dict[str, Any]) -> None:
    nullable(schema)
    schema["examples"] = [{"text": "Good morning.", "text_lang": "en", "target_voice": "studio/alice"}]


class SillyTavernRequest(ClientRequest):
    """The fields that mean something here; null and the empty string mean left out, others are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore", json_schema_extra=_described)

    text: str = Field(min_length=1, max_length=INPUT_LIMIT)
    target_voice: str = Field("", max_length=512, description="The voice's name.")
    ref_audio_path: str = Field(
        "",
        max_length=600,
        description="Without `target_voice`: `./<any folder>/<the voice's name>.wav`; no file is read.",
    )
    text_lang: str = Field("auto", max_length=16, description="`auto` is the voice's own language.")
    text_split_method: Literal["cut0", "cut1", "cut2", "cut3", "cut4", "cut5"] = "cut5"
    media_type: Literal["auto", "mp3", "ogg", "aac", "flac", "wav"] = Field(
        "auto", description="`auto` is mp3, `ogg` holds Opus."
    )

    def meaning(self) -> SpeechRequest:
        """Return the request that it is here.

        Raises:
            InvalidRequest: no voice is named, or a recording of somebody's server.
        """
        return SpeechRequest.model_validate(
            {
                "input": self.text,
                "voice": self._voice(),
                "language": language_of(self.text_lang),
                "response_format": FORMATS.get(self.media_type, self.media_type),
                "split_method": self.text_split_method,
            }
        )

    def _voice(self) -> str:
        if self.target_voice:
            return self.target_voice
        found = _RECORDING.fullmatch(self.ref_audio_path)
        if found:
            return found["voice"]
        given = f"ref_audio_path {self.ref_audio_path[:100]!r} names none" if self.ref_audio_path else "none is named"
        raise InvalidRequest(
            f"target_voice: {given}; give a voice's name, <namespace>/<name>. GET /speakers lists them.",
            field="target_voice",
        )
