"""GPT-SoVITS' own clients are answered at /tts; no path of theirs is read."""

import io
from collections.abc import AsyncIterator
from typing import Any

import av
import pytest

from voice_inference.engine.notice import NOTICE

pytestmark = pytest.mark.anyio
ASKED = {"text": "Hello there, my friend.", "text_lang": "en", "ref_audio_path": "studio/alice", "seed": 1}
# What the web client of the original sends beside that.
USUAL = {
    "prompt_lang": "en",
    "prompt_text": "What was said.",
    "aux_ref_audio_paths": [],
    "batch_size": 1,
    "batch_threshold": 0.75,
    "split_bucket": True,
    "fragment_interval": 0.3,
    "parallel_infer": True,
    "sample_steps": 32,
}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def seconds_of(content: bytes) -> float:
    with av.open(io.BytesIO(content)) as file:
        return sum(frame.samples / frame.sample_rate for frame in file.decode(audio=0))


@pytest.fixture
async def client(make_bundle: Any, desired: Any, start_server: Any) -> AsyncIterator[Any]:
    """A client of a server with the voice studio/alice."""
    alice = make_bundle().seal()
    desired.write(alice)
    async with start_server() as server:
        await server.until_ready(alice)
        yield server.client


@pytest.mark.parametrize("mode", [False, True, 1, 3])
@pytest.mark.parametrize(("media_type", "header"), [("wav", "audio/wav"), ("ogg", "audio/ogg"), ("aac", "audio/aac")])
async def test_a_request_of_the_original_is_spoken(media_type: str, header: str, mode: Any, client: Any) -> None:
    body = {**USUAL, **ASKED, "media_type": media_type, "streaming_mode": mode}
    answer = await client.post("/tts", json=body)
    raw = await client.get("/tts", params={**ASKED, "media_type": "raw"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, header)
    assert answer.headers["x-ignored-fields"] == "prompt_text, sample_steps"
    assert raw.headers["content-type"] == "audio/raw"
    assert seconds_of(answer.content) == pytest.approx(len(raw.content) / 64_000, abs=0.15)
    with av.open(io.BytesIO(answer.content)) as file:
        said = file.metadata | file.streams.audio[0].metadata
    assert {name.lower(): value for name, value in said.items()}["comment"] == NOTICE


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"ref_audio_path": "/data/alice.wav"}, (400, "ref_audio_path", "is a path")),
        ({"ref_audio_path": "C:\\\\voices\\\\alice.wav"}, (400, "ref_audio_path", "is a path")),
        ({"ref_audio_path": "../../etc/passwd"}, (400, "ref_audio_path", "is a path")),
        ({"ref_audio_path": "studio/nobody"}, (404, "voice", "known voices of studio")),
        ({"ref_audio_path": ""}, (400, "ref_audio_path", "required")),
        ({"text": ""}, (400, "text", "required")),
        ({"text_split_method": "cut9"}, (400, "text_split_method", "cut0")),
        ({"media_type": "exe"}, (400, "media_type", "wav")),
        ({"text_lang": "xx"}, (400, "language", "not offered")),
        ({"top_k": 0}, (400, "top_k", "greater than or equal to 1")),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_what_cannot_be_spoken_is_refused_with_its_field(
    method: str, changes: dict[str, Any], refusal: tuple[int, str, str], client: Any
) -> None:
    status, param, message = refusal
    asked = ASKED | changes
    kind = {"params": asked} if method == "GET" else {"json": asked}
    answer = await client.request(method, "/tts", **kind)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (status, param)
    assert message in error["message"]


async def test_auto_is_the_language_of_the_voice(client: Any) -> None:
    plain = await client.post("/tts", json=ASKED)
    for language in ("auto", "all_en", "EN", None):
        assert (await client.post("/tts", json=ASKED | {"text_lang": language})).content == plain.content
