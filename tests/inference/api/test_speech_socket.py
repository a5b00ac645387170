"""The WebSocket for text that is still being written: a real server, and the client library `websockets`."""

import asyncio
import json
import logging
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from tests.inference.conftest import Desired, MakeBundle, StartServer
from websockets.asyncio.client import ClientConnection, connect

from voice_inference.__main__ import Server, config_of
from voice_inference.access.api_keys import digest_of, new_key
from voice_inference.api import accounting, speech_session
from voice_inference.api.services import Services

pytestmark = pytest.mark.anyio
PATH = "/v1/audio/speech/stream"
CONFIG = {"type": "session.config", "voice": "studio/alice", "response_format": "pcm", "seed": 7}
DONE = {"type": "input.done"}
GREETINGS = {"type": "input.text", "text": "Good morning to you. Good evening to all of you."}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Speech:
    """A server with `studio/alice` and `team/bob`."""

    def __init__(self, services: Services, port: int) -> None:
        self.services = services
        self.port = port

    def open(self, **options: Any) -> connect:
        return connect(f"ws://127.0.0.1:{self.port}{PATH}", **options)

    async def post(self, text: str, **fields: Any) -> bytes:
        body = {"input": text, "voice": "studio/alice", "response_format": "pcm", "seed": 7, **fields}
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=60) as client:
            return (await client.post("/v1/audio/speech", json=body)).content


Start = Callable[..., Any]


@pytest.fixture
def start(make_bundle: MakeBundle, desired: Desired, start_server: StartServer) -> Start:
    @asynccontextmanager
    async def running(**settings: Any) -> AsyncIterator[Speech]:
        desired.write(make_bundle().seal(), make_bundle("team/bob").seal())
        async with start_server(**settings) as server:
            services = server.services
            while not all(entry.serving for entry in services.registry) or not services.registry.ready:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            config = config_of(services)
            config.lifespan, config.port, config.host = "off", 0, "127.0.0.1"  # the lifespan runs already
            uvicorn_server = Server(config, services.ending)
            task = asyncio.create_task(uvicorn_server.serve())
            while not uvicorn_server.started:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            yield Speech(services, uvicorn_server.servers[0].sockets[0].getsockname()[1])
            uvicorn_server.should_exit = True
            await task

    return running


class Heard:
    """What came over a socket until its end."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.sounds: list[bytes] = []
        self.code = 0

    def kinds(self) -> list[str]:
        return [event["type"] for event in self.events]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == kind]

    def take(self, message: str | bytes) -> None:
        if isinstance(message, bytes):
            self.sounds[-1] += message
            return
        self.events.append(json.loads(message))
        if self.events[-1]["type"] == "audio.start":
            self.sounds.append(b"")


async def hear(socket: ClientConnection, heard: Heard | None = None) -> Heard:
    heard = heard or Heard()
    try:
        async with asyncio.timeout(60):
            async for message in socket:
                heard.take(message)
    except websockets.ConnectionClosedError:
        pass
    heard.code = socket.close_code or 0
    return heard


async def say(socket: ClientConnection, *messages: Any, heard: Heard | None = None) -> Heard:
    for message in messages:
        await socket.send(message if isinstance(message, str | bytes) else json.dumps(message))
    return await hear(socket, heard)


def text(written: str) -> dict[str, str]:
    return {"type": "input.text", "text": written}


async def test_what_is_written_letter_by_letter_is_heard_sentence_by_sentence(start: Start) -> None:
    written = "Good morning. It is Dr. Smith! How are you?"
    async with start() as speech, speech.open() as socket:
        heard = await say(socket, CONFIG, *map(text, written), DONE)
        assert heard.code == 1000
        assert heard.events[0] == {"type": "session.created", "voice": "studio/alice", "seed": 7}
        assert heard.events[-1] == {"type": "session.done", "total_sentences": 3}
        started = heard.of("audio.start")
        assert [one["sentence_text"] for one in started] == ["Good morning.", "It is Dr. Smith!", "How are you?"]
        assert [one["sentence_index"] for one in heard.of("audio.done")] == [0, 1, 2]
        assert {(one["format"], one["sample_rate"]) for one in started} == {("pcm", 32000)}
        for one, sound in zip(started, heard.sounds, strict=True):
            assert sound == await speech.post(one["sentence_text"])


async def test_a_sentence_is_heard_before_the_next_one_is_written(start: Start) -> None:
    async with start() as speech, speech.open() as socket:
        heard = Heard()
        for message in (CONFIG, text("Good morning. And"), text(" then")):
            await socket.send(json.dumps(message))
        while "audio.done" not in heard.kinds():
            heard.take(await asyncio.wait_for(socket.recv(), 60))
        assert heard.of("audio.start")[0]["sentence_text"] == "Good morning."
        await socket.send(json.dumps({"type": "input.flush"}))
        while len(heard.of("audio.done")) < 2:
            heard.take(await asyncio.wait_for(socket.recv(), 60))
        assert heard.of("audio.start")[1]["sentence_text"] == "And then"
        rest = await say(socket, DONE)
        assert rest.kinds() == ["session.done"]


async def test_the_default_is_a_wav_file_for_each_sentence_with_words_where_asked(start: Start) -> None:
    config = {"type": "session.config", "voice": "studio/alice", "timestamps": "sentence", "speed": None}
    async with start() as speech, speech.open() as socket:
        heard = await say(socket, config, text("One. Two."), DONE)
    assert [sound[:4] for sound in heard.sounds] == [b"RIFF", b"RIFF"]
    assert [one["sentence"]["text"] for one in heard.of("audio.timestamps")] == ["One.", "Two."]


async def test_who_interrupts_hears_no_more_of_it(start: Start) -> None:
    async with start() as speech, speech.open() as socket:
        for message in (CONFIG, text("This is a rather long sentence, which goes on for a while. " * 20)):
            await socket.send(json.dumps(message))
        assert json.loads(await socket.recv())["type"] == "session.created"
        heard = Heard()
        while not heard.sounds:
            heard.take(await socket.recv())
        await socket.send(json.dumps({"type": "input.cancel"}))
        heard = await say(socket, text("Yes?"), DONE, heard=heard)
        assert heard.of("audio.done")[0] in (
            {"type": "audio.done", "sentence_index": 0, "cancelled": True},
            {"type": "audio.done", "sentence_index": 0},
        )
        assert [one["sentence_text"] for one in heard.of("audio.start")][-1] == "Yes?"
        assert len(heard.of("audio.start")) <= 2


async def test_who_interrupts_before_the_first_sound_waits_for_no_more_of_it(start: Start) -> None:
    config = {"type": "session.config", "voice": "studio/alice", "response_format": "wav"}
    async with start() as speech, speech.open() as socket:
        for message in (config, text("This is a rather long sentence, which goes on for a while. " * 20)):
            await socket.send(json.dumps(message))
        assert json.loads(await socket.recv())["type"] == "session.created"
        heard = await say(socket, {"type": "input.cancel"}, text("Yes?"), DONE)
    assert [one["sentence_text"] for one in heard.of("audio.start")] == ["Yes?"]
    assert heard.events[-1] == {"type": "session.done", "total_sentences": 1}


async def test_a_sentence_that_nobody_can_speak_is_told_and_left_out(start: Start) -> None:
    async with start() as speech, speech.open() as socket:
        heard = await say(socket, CONFIG, text("Good morning. … !? Привет. Good night."), DONE)
    told = heard.of("error")
    assert [(one["code"], one["param"], one["sentence_text"]) for one in told] == [
        ("invalid_value", "input", "Привет.")
    ]
    spoken = [one["sentence_text"] for one in heard.of("audio.start")]
    marks = [one for one in spoken if one in {"…", "!?", "… !?"}]  # which are a pause
    assert marks
    assert [one for one in spoken if one not in marks] == ["Good morning.", "Good night."]
    assert heard.code == 1000


@pytest.mark.parametrize(
    ("messages", "code", "param", "closed"),
    [
        pytest.param([text("Hello.")], "invalid_value", "type", 1008, id="text before the configuration"),
        pytest.param([{"type": "session.config"}], "invalid_value", "voice", 1008, id="no voice"),
        pytest.param([CONFIG | {"voice": "studio/nobody"}], "voice_not_found", "voice", 1008, id="no such voice"),
        pytest.param([CONFIG | {"speed": 99}], "invalid_value", "speed", 1008, id="a wrong value"),
        pytest.param([CONFIG | {"response_format": "srt"}], "invalid_value", "response_format", 1008, id="captions"),
        pytest.param([CONFIG, CONFIG], "invalid_value", "type", 1008, id="two configurations"),
        pytest.param([CONFIG, DONE, text("More.")], "invalid_value", "type", 1008, id="text after the end"),
        pytest.param(["no JSON"], "invalid_value", None, 1008, id="no JSON"),
        pytest.param(["[" * 50_000], "invalid_value", None, 1008, id="deep JSON"),
        pytest.param([CONFIG, {"type": "input.audio"}], "invalid_value", None, 1008, id="an unknown message"),
        pytest.param([CONFIG, text("x" * 5000)], "invalid_value", "text", 1008, id="a long message"),
        pytest.param([CONFIG, {"type": "input.text", "text": 7}], "invalid_value", "text", 1008, id="a number as text"),
        pytest.param([CONFIG, b"sound"], "invalid_value", None, 1008, id="a binary message"),
        pytest.param([CONFIG, *[text("Word. " * 600)] * 12], "invalid_value", "text", 1008, id="too much at once"),
    ],
)
async def test_messages_that_break_the_contract_end_the_session_with_a_sentence(
    start: Start, messages: list[Any], code: str, param: str | None, closed: int
) -> None:
    async with start() as speech, speech.open() as socket:
        try:
            heard = await say(socket, *messages)
        except websockets.ConnectionClosed:  # it is over before all is sent
            heard = await hear(socket)
        told = heard.of("error")[-1]
        assert (told["code"], told["param"], heard.code) == (code, param, closed), told
        assert len(await speech.post("Still there.")) > 1000


async def test_a_message_that_is_too_large_is_not_read(start: Start) -> None:
    async with start() as speech, speech.open() as socket:
        heard = await say(socket, CONFIG, "x" * 300_000)
        assert heard.code == 1009


async def test_who_writes_nothing_is_not_waited_for(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech_session, "CONFIG_SECONDS", 0.1)
    monkeypatch.setattr(speech_session, "IDLE_SECONDS", 0.1)
    async with start() as speech:
        async with speech.open() as silent:
            assert (await hear(silent)).of("error")[0]["message"].startswith("session.config did not come")
        async with speech.open() as idle:
            heard = await say(idle, CONFIG, text("Hello"))
            assert heard.of("error")[0]["message"].startswith("Nothing was written")


async def test_who_listens_has_time_until_it_is_quiet(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech_session, "IDLE_SECONDS", 0.05)
    written = text("This is a rather long sentence, which goes on for a while, and it has no end before its end. ")
    async with start() as speech, speech.open() as socket:
        heard = await say(socket, CONFIG, written, {"type": "input.flush"})
    assert heard.of("audio.done") == [{"type": "audio.done", "sentence_index": 0}]
    assert heard.of("error")[0]["message"].startswith("Nothing was written")


async def test_the_worker_is_free_once_a_client_has_gone(start: Start) -> None:
    async with start(batch=1, queue=0) as speech:
        async with speech.open() as socket:
            for message in (CONFIG, text("This is a rather long sentence, which goes on for a while. " * 30)):
                await socket.send(json.dumps(message))
            for _ in range(2):
                await socket.recv()
        async with asyncio.timeout(30):
            while len(await speech.post("Hello.")) < 1000:  # noqa: ASYNC110 -- the answer is 429 before
                await asyncio.sleep(0.05)


class TestKeys:
    """Servers with keys."""

    @pytest.fixture
    def key(self, tmp_path: Path) -> str:
        folder, key = tmp_path / "keys", new_key()
        folder.mkdir()
        entry = {"id": "reader", "sha256": digest_of(key), "voices": ["studio/*"], "charactersPerMinute": 40}
        (folder / "reader.json").write_text(json.dumps(entry))
        return key

    @pytest.fixture
    def keyed(self, start: Start, tmp_path: Path) -> Any:
        return lambda **settings: start(keys=tmp_path / "keys", **settings)

    async def test_a_key_comes_with_the_handshake_or_with_the_first_message(self, keyed: Any, key: str) -> None:
        async with keyed() as speech:
            shown = {"Authorization": f"Bearer {key}"}
            async with speech.open(additional_headers=shown) as socket:
                assert (await say(socket, CONFIG, text("Hello."), DONE)).code == 1000
            async with speech.open() as socket:
                assert (await say(socket, CONFIG | {"api_key": key}, text("Hello."), DONE)).code == 1000

    async def test_nobody_speaks_without(self, keyed: Any, key: str) -> None:
        async with keyed() as speech:
            with pytest.raises(websockets.InvalidStatus) as refused:
                await speech.open(additional_headers={"Authorization": f"Bearer {key[:-1]}x"}).__aenter__()
            assert refused.value.response.status_code == 401
            for wrong in ({}, {"api_key": "vo_wrong"}, {"api_key": key[:-1] + "x"}):
                async with speech.open() as socket:
                    heard = await say(socket, CONFIG | wrong, text("Hello."), DONE)
                assert (heard.kinds(), heard.code) == (["error"], 1008)
                assert heard.events[0]["code"] == "invalid_api_key"
            async with speech.open() as socket:
                heard = await say(socket, CONFIG | {"api_key": key, "voice": "team/bob"}, text("Hello."), DONE)
            assert heard.events[0]["code"] == "voice_not_found"

    async def test_one_that_is_taken_away_speaks_no_more(self, keyed: Any, key: str, tmp_path: Path) -> None:
        async with keyed(poll_seconds=0.05) as speech, speech.open() as socket:
            heard = Heard()
            for message in (CONFIG | {"api_key": key}, text("Hello."), {"type": "input.flush"}):
                await socket.send(json.dumps(message))
            while not heard.of("audio.done"):
                heard.take(await socket.recv())
            (tmp_path / "keys" / "reader.json").unlink()
            async with asyncio.timeout(30):
                while len(speech.services.gate._keys.ring.entries):  # noqa: ASYNC110 -- a thread reads the folder
                    await asyncio.sleep(0.02)
            heard = await say(socket, text("Hello again."), DONE, heard=heard)
        assert (len(heard.of("audio.start")), heard.code) == (1, 1008)
        assert heard.events[-1]["code"] == "invalid_api_key"

    async def test_its_limits_hold_for_each_sentence_and_it_pays_for_what_was_spoken(
        self, keyed: Any, key: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with keyed() as speech:
            with caplog.at_level(logging.INFO, accounting.log.name):
                async with speech.open() as socket:
                    heard = await say(
                        socket,
                        CONFIG | {"api_key": key},
                        text("Good morning to you. Good evening to all of you."),
                        DONE,
                    )
                await asyncio.sleep(0.1)
            assert len(heard.of("audio.done")) == 1
            told = heard.of("error")[-1]
            assert (told["code"], heard.code) == ("rate_limit_exceeded", 1013)
            assert 0 < told["retry_after"] <= 60
            line = json.loads(caplog.messages[-1])
            assert (line["route"], line["status"], line["key"]) == (PATH, 101, "reader")
            assert (line["voice"], line["characters"]) == ("studio/alice", len("Good morning to you."))
            assert line["seconds"] > 0


async def test_pages_of_other_origins_may_not_open_one(start: Start) -> None:
    async with start(cors_origins=["https://app.example.com"]) as speech:
        for origin in ("https://evil.example.com", "null"):
            with pytest.raises(websockets.InvalidStatus) as refused:
                await speech.open(origin=origin).__aenter__()
            assert refused.value.response.status_code == 403
        for origin in (f"http://127.0.0.1:{speech.port}", "https://app.example.com"):
            async with speech.open(origin=origin) as socket:
                assert (await say(socket, CONFIG, DONE)).kinds() == ["session.created", "session.done"]


async def test_the_example_of_the_docs_is_heard(start: Start, repository: Path, tmp_path: Path) -> None:
    page = (repository / "docs/speech-api.md").read_text(encoding="utf-8")
    example = page.partition("```python\nimport json\n")[2].partition("```")[0]
    async with start() as speech:
        program = "import json\n" + example.replace("default.voice-system.svc", f"127.0.0.1:{speech.port}")
        (tmp_path / "example.py").write_text(program.replace("vo_…", "vo_"), encoding="utf-8")
        ran = await asyncio.create_subprocess_exec(
            sys.executable, str(tmp_path / "example.py"), stdout=asyncio.subprocess.PIPE
        )
        said, _ = await asyncio.wait_for(ran.communicate(), 60)
    assert ran.returncode == 0
    assert '"sentence_text":"How are you?"' in said.decode()
    assert '"total_sentences":2' in said.decode()
