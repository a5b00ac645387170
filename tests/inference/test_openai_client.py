"""OpenAI's own Python client speaks with the server."""

import io
from collections.abc import Iterator
from typing import Any

import pytest
import soundfile
from openai import BadRequestError, NotFoundError, OpenAI
from tests.inference.conftest import Desired, MakeBundle, StartProcess

TEXT = "One sentence. Another sentence."


@pytest.fixture
def openai(make_bundle: MakeBundle, desired: Desired, start_process: StartProcess) -> Iterator[OpenAI]:
    desired.write(make_bundle().seal())
    with start_process() as process:
        client = OpenAI(base_url=f"{process.client.base_url}/v1", api_key="none", max_retries=0)
        yield client
        client.close()


def test_it_lists_speaks_streams_and_reads_refusals(openai: OpenAI) -> None:
    assert [model.id for model in openai.models.list()] == ["tiny"]
    assert openai.models.retrieve("tiny").id == "tiny"
    asked: dict[str, Any] = {"model": "tts-1", "voice": "studio/alice", "input": TEXT, "extra_body": {"seed": 1}}
    spoken = openai.audio.speech.create(**asked)
    assert soundfile.info(io.BytesIO(spoken.content)).format == "MP3"
    with openai.audio.speech.with_streaming_response.create(**asked) as answer:
        assert b"".join(answer.iter_bytes()) == spoken.content
    with openai.audio.speech.with_streaming_response.create(**asked, stream_format="sse") as answer:
        assert '"speech.audio.done"' in answer.read().decode()
    fast = openai.audio.speech.create(**asked, response_format="wav", speed=2.0, instructions="Whisper.")
    assert soundfile.info(io.BytesIO(fast.content)).duration > 0.2
    with pytest.raises(NotFoundError, match="no voice 'studio/bob'"):
        openai.audio.speech.create(**asked | {"voice": "studio/bob"})
    with pytest.raises(BadRequestError, match="response_format"):
        openai.audio.speech.create(**asked, response_format="mp4")  # type: ignore[arg-type]
