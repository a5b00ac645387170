"""OpenAI's own Python client speaks with the server, without keys and with them."""

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import soundfile
from openai import AuthenticationError, BadRequestError, NotFoundError, OpenAI, RateLimitError
from tests.inference.conftest import Desired, MakeBundle, StartProcess

from voice_inference.access import api_keys

TEXT = "One sentence. Another sentence."


@pytest.fixture
def openai(make_bundle: MakeBundle, desired: Desired, start_process: StartProcess) -> Iterator[OpenAI]:
    desired.write(make_bundle().seal())
    with start_process() as process:
        client = OpenAI(base_url=f"{process.client.base_url}/v1", api_key="none", max_retries=0)
        yield client
        client.close()


def test_it_lists_speaks_streams_and_reads_refusals(openai: OpenAI, repository: Path, tmp_path: Path) -> None:
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
    page = (repository / "docs/speech-api.md").read_text(encoding="utf-8")
    example = "from openai" + page.partition("```python\nfrom openai")[2].partition("```")[0]
    address = str(openai.base_url).removesuffix("/v1/")
    program = example.replace("http://default.voice-system.svc", address).replace("vo_…", "none")
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path)
    assert soundfile.info(tmp_path / "hello.mp3").format == "MP3"


def test_a_key_lets_it_speak_and_goes_with_its_file(
    make_bundle: MakeBundle, desired: Desired, start_process: StartProcess, tmp_path: Path
) -> None:
    desired.write(make_bundle().seal(), make_bundle("team/bob").seal())
    key, folder = api_keys.new_key(), tmp_path / "keys"
    folder.mkdir()
    entry = {"id": "app", "sha256": api_keys.digest_of(key), "voices": ["studio/*"], "requestsPerMinute": 3}
    (folder / "app.json").write_text(json.dumps(entry))
    asked: dict[str, Any] = {"model": "tts-1", "voice": "studio/alice", "input": TEXT, "extra_body": {"seed": 1}}
    with start_process("--keys", str(folder)) as process:
        address = f"{process.client.base_url}/v1"
        with OpenAI(base_url=address, api_key=key, max_retries=0) as client:
            assert [model.id for model in client.models.list()] == ["tiny"]
            assert client.audio.speech.create(**asked).content
            with pytest.raises(NotFoundError, match="no voice of team is served here"):
                client.audio.speech.create(**asked | {"voice": "team/bob"})
            client.audio.speech.create(**asked)
            with pytest.raises(RateLimitError, match="3 requests a minute"):
                client.audio.speech.create(**asked)
            with OpenAI(base_url=address, api_key="vo_wrong", max_retries=0) as stranger:
                with pytest.raises(AuthenticationError, match="no such API key"):
                    stranger.audio.speech.create(**asked)
                with pytest.raises(AuthenticationError):
                    list(stranger.models.list())
            (folder / "app.json").unlink()
            headers = {"Authorization": f"Bearer {key}"}
            process.until(lambda: process.client.get("/v1/models", headers=headers).status_code == 401)
