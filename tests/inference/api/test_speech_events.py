"""A stream of events ends with what became of it, whatever that is."""

import json
from collections.abc import AsyncGenerator
from typing import cast

import pytest

from voice_inference.api.error_handlers import FAILED
from voice_inference.api.speech_events import speech_events
from voice_inference.api.speech_service import SpeechStream, Usage
from voice_inference.bundles.voice import Voice
from voice_inference.errors import SynthesisFailed

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        pytest.param(SynthesisFailed("no sound came"), "no sound came", id="one of ours"),
        pytest.param(MemoryError("secret details"), FAILED, id="anything else"),
    ],
)
async def test_an_error_is_the_last_event(error: Exception, message: str) -> None:
    async def rest() -> AsyncGenerator[bytes]:
        yield b"more"
        raise error

    stream = SpeechStream(cast("Voice", None), 1, b"first", rest(), Usage(5))
    events = [json.loads(event.removeprefix(b"data: ")) async for event in speech_events(stream)]
    assert [event["type"] for event in events] == ["speech.audio.delta", "speech.audio.delta", "error"]
    assert events[-1]["error"]["message"] == message
