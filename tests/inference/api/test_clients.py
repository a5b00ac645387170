"""Requests as other programs make them, written down from their sources: each is answered with what they read next."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import av
import pytest
from tests.inference.conftest import Desired, MakeBundle, StartServer

pytestmark = pytest.mark.anyio

OPUS, MP3, PCM = "ogg", "mp3", "pcm"
TEXT = "Hello there."
ALICE = {"input": TEXT, "voice": "studio/alice"}


@dataclass(frozen=True)
class Recorded:
    """A request for speech, and the container that its client opens."""

    client: str
    body: Mapping[str, Any]
    opens: str
    headers: Mapping[str, str] = field(default_factory=dict)
    path: str = "/v1/audio/speech"


RECORDED = (
    Recorded(
        "Open WebUI: routers/audio.py adds its model to what the page sends",
        {"input": TEXT, "voice": "alloy", "model": "tts-1"},
        MP3,
        {"X-OpenWebUI-User-Name": "Ann", "X-OpenWebUI-User-Role": "user"},
    ),
    Recorded(
        "SillyTavern: openai-compatible.js by way of its own server",
        ALICE | {"model": "tts-1", "response_format": "mp3", "speed": 1},
        MP3,
    ),
    Recorded(
        "SillyTavern: the fields of its GPT-SoVITS client, with a voice in place of a path",
        {
            "text": TEXT,
            "prompt_text": "studio/alice",
            "ref_audio_path": "studio/alice",
            "text_lang": "en",
            "prompt_lang": "en",
            "text_split_method": "cut5",
            "batch_size": 1,
            "media_type": "ogg",
            "streaming_mode": "true",
        },
        OPUS,
        path="/tts",
    ),
    Recorded(
        "SillyTavern: gpt-sovits-v2.js, as it stands",
        {
            "text": TEXT,
            "prompt_text": "studio/alice",
            "ref_audio_path": "./参考音频/studio/alice.wav",
            "text_lang": "en",
            "prompt_lang": "zh",
            "text_split_method": "cut5",
            "batch_size": 1,
            "media_type": "ogg",
            "streaming_mode": "true",
        },
        OPUS,
        path="/",
    ),
    Recorded(
        "SillyTavern: gpt-sovits-adapter.js",
        {
            "text": TEXT,
            "card_name": ["Seraphina"],
            "use_st_adapter": True,
            "target_voice": "alloy",
            "text_lang": "en",
            "text_split_method": "cut5",
            "batch_size": 1,
            "media_type": "auto",
            "streaming_mode": "true",
        },
        MP3,
        path="/",
    ),
    Recorded(
        "Home Assistant: openai_tts, whole",
        ALICE | {"model": "tts-1", "response_format": "mp3", "speed": 1.0, "instructions": "Speak calmly."},
        MP3,
        {"User-Agent": "HomeAssistant-OpenAI-TTS"},
    ),
    Recorded(
        "Home Assistant: openai_tts, streamed, with fields of another server merged in",
        ALICE | {"model": "tts-1", "response_format": "opus", "speed": 1.0, "chunk_size": 200, "exaggeration": 0.5},
        OPUS,
        {"User-Agent": "HomeAssistant-OpenAI-TTS"},
    ),
    Recorded(
        "Home Assistant: openai_tts, to see whether a key is taken",
        {"model": "tts-1", "input": ".", "voice": "alloy", "response_format": "mp3"},
        MP3,
    ),
    Recorded(
        "LiveKit agents: plugins/openai/tts.py",
        {"input": TEXT, "model": "gpt-4o-mini-tts", "voice": "alloy", "response_format": "mp3"},
        MP3,
    ),
    Recorded(
        "Kokoro's clients: pcm to a loudspeaker",
        ALICE | {"model": "kokoro", "response_format": "pcm", "speed": 1.0},
        PCM,
    ),
    Recorded(
        "Kokoro's clients: without a model, with fields of Kokoro's own",
        ALICE | {"stream": True, "return_download_link": True, "lang_code": None, "allow_voice_tags": True},
        MP3,
    ),
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_every_recorded_request_is_answered_with_a_file_that_its_client_opens(
    make_bundle: MakeBundle, desired: Desired, start_server: StartServer
) -> None:
    desired.write(make_bundle().seal())
    async with start_server(aliases={"alloy": "studio/alice"}) as server:
        await server.until(lambda voices: voices.get("studio/alice", {}).get("state") == "ready")
        wrong: dict[str, Any] = {}
        for form in ("wav", "vtt", "srt"):
            marks = await server.create_speech("alloy", "…", response_format=form, verify=True)
            assert marks.status_code == 200, form
        events = await server.create_speech("alloy", "…", response_format="mp3", stream_format="sse", timestamps="word")
        assert '"sentence": {"text": "…", "start": 0.0, "end": 0.25}' in events.text.replace("\\u2026", "…")
        for one in RECORDED:
            answer = await server.client.post(one.path, json=one.body, headers=dict(one.headers))
            if answer.status_code != 200 or container_of(answer.content, one.opens) != one.opens:
                wrong[one.client] = answer.status_code, answer.content[:200]
        assert wrong == {}


def container_of(data: bytes, expected: str) -> str:
    """What FFmpeg says of a file in which something is heard."""
    if expected == PCM:
        return PCM if len(data) > 6400 and len(data) % 2 == 0 else ""
    with av.open(io.BytesIO(data)) as file:
        seconds = sum(frame.samples / frame.sample_rate for frame in file.decode(audio=0))
        return file.format.name if seconds > 0.1 else ""


async def test_what_they_list_before_they_speak(
    make_bundle: MakeBundle, desired: Desired, start_server: StartServer
) -> None:
    desired.write(make_bundle().seal())
    async with start_server(aliases={"alloy": "studio/alice"}) as server:
        client = server.client
        assert (await client.get("/health")).status_code == 200, "Kokoro's console client"
        await server.until(lambda voices: voices.get("studio/alice", {}).get("state") == "ready")
        models = (await client.get("/v1/audio/models")).json()["models"]
        assert [model["id"] for model in models] == ["tiny"], "Open WebUI"
        voices = (await client.get("/v1/audio/voices")).json()["voices"]
        named = {voice["id"]: voice["name"] for voice in voices}
        assert named == {"studio/alice": "studio/alice", "alloy": "alloy (studio/alice)"}, (
            "Open WebUI, Kokoro's clients"
        )
        speakers = (await client.get("/speakers")).json()
        assert speakers == [
            {"name": "studio/alice", "voice_id": "studio/alice"},
            {"name": "alloy (studio/alice)", "voice_id": "alloy"},
        ], "SillyTavern"
        models = (await client.get("/v1/models")).json()["data"]
        assert [model["id"] for model in models] == ["tiny"], "Kokoro's clients, LiveKit agents"


async def test_what_sillytavern_cannot_have_is_refused_with_its_field(
    make_bundle: MakeBundle, desired: Desired, start_server: StartServer
) -> None:
    alice = make_bundle().seal()
    desired.write(alice)
    async with start_server() as server:
        await server.until_ready(alice)
        for changes, status, param, message in (
            ({}, 400, "target_voice", "none is named"),
            ({"ref_audio_path": "/etc/passwd"}, 400, "target_voice", "names none"),
            ({"ref_audio_path": "./voices/../../etc/passwd.wav"}, 404, "voice", "There is no voice"),
            ({"target_voice": "studio/bob"}, 404, "voice", "known voices of studio"),
            ({"target_voice": "studio/alice", "media_type": "silk"}, 400, "media_type", "'mp3'"),
            ({"target_voice": "studio/alice", "text": None}, 400, "text", "required"),
        ):
            answer = await server.client.post("/", json={"text": TEXT, "text_lang": "en"} | changes)
            error = answer.json()["error"]
            assert (answer.status_code, error["param"]) == (status, param), changes
            assert message in error["message"]
        page = await server.client.get("/")
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
