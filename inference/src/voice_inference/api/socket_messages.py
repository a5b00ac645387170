"""What is said over the WebSocket for text that is still being written: vLLM-Omni's contract, and a little more.

`api_key`, `input.flush`, `input.cancel`, `session.created` and `audio.timestamps` are ours; so are codes of errors.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from voice_inference.api.speech_request import INPUT_LIMIT, SpeechRequest


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class SessionConfig(BaseModel):
    """The first message: fields of ``POST /v1/audio/speech`` but for the text, for all sentences."""

    model_config = ConfigDict(frozen=True, extra="allow")

    type: Literal["session.config"]
    api_key: str = Field("", max_length=16_384)  # where no header can be set, as in browsers

    def request(self) -> SpeechRequest:
        """Return a request for a sentence; its text is to be exchanged.

        Raises:
            ValidationError: a field has another form than in such a request.
        """
        given = {name: value for name, value in (self.model_extra or {}).items() if value is not None}
        return SpeechRequest.model_validate({"response_format": "wav", **given, "input": "-", "stream_format": "sse"})


class InputText(_Message):
    """More of the text."""

    type: Literal["input.text"]
    text: str = Field(max_length=INPUT_LIMIT)


class InputFlush(_Message):
    """What was written is whole: the last sentence is spoken, and more may follow."""

    type: Literal["input.flush"]


class InputCancel(_Message):
    """Nothing of what was written so far is wanted any more: somebody interrupts."""

    type: Literal["input.cancel"]


class InputDone(_Message):
    """The text is whole; the session ends once it is spoken."""

    type: Literal["input.done"]


Message = Annotated[SessionConfig | InputText | InputFlush | InputCancel | InputDone, Field(discriminator="type")]
MESSAGES: TypeAdapter[Message] = TypeAdapter(Message)


def event(kind: str, **fields: Any) -> dict[str, Any]:
    """Return a message to the client."""
    return {"type": kind, **fields}
