"""Keys at the HTTP interface: who is let in, what is visible, what limits answer, what is written down."""

import asyncio
import json
import logging
import statistics
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.inference.conftest import Desired, MakeBundle, StartServer

from voice_inference.access.api_keys import digest_of, new_key
from voice_inference.api import accounting

pytestmark = pytest.mark.anyio

TEXT = "Hello there."
PATHS = ("/v1/models", "/v1/models/tiny", "/v1/voices", "/v1/audio/voices", "/v1/usage")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Keys:
    """A folder of keys."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder

    def add(self, name: str, *voices: str, **fields: Any) -> dict[str, str]:
        """Make a key, and return the header that shows it."""
        key = new_key()
        name = name.replace("*", "all")
        entry = {"id": name, "sha256": digest_of(key), "voices": voices or ("studio/*",), **fields}
        (self.folder / f"{name}.json").write_text(json.dumps(entry))
        return {"Authorization": f"Bearer {key}"}


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path / "keys")


@pytest.fixture
def start_two(make_bundle: MakeBundle, desired: Desired, start_server: StartServer, keys: Keys) -> StartServer:
    """Start a server with `studio/alice` and `team/bob`, whose keys are those of the folder."""

    @asynccontextmanager
    async def start(**settings: Any) -> Any:
        desired.write(make_bundle().seal(), make_bundle("team/bob").seal())
        async with start_server(keys=keys.folder, **settings) as server:
            registry = server.services.registry
            while not (registry.ready and all(entry.serving for entry in registry)):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            yield server

    return start


async def speak(server: Any, headers: dict[str, str], voice: str = "studio/alice", **fields: Any) -> httpx.Response:
    body = {"input": TEXT, "voice": voice, "seed": 1, "response_format": "wav", **fields}
    answer: httpx.Response = await server.client.post("/v1/audio/speech", json=body, headers=headers)
    return answer


@pytest.mark.parametrize(
    ("authorization", "given"),
    [
        pytest.param(None, False, id="none"),
        pytest.param("Bearer", False, id="an empty one"),
        pytest.param("Bearer vo_wrong", True, id="an unknown one"),
        pytest.param("Bearer a.b.c", True, id="a token of nobody"),
        pytest.param("Basic dXNlcjpwYXNz", True, id="another scheme"),
        pytest.param("VoiceOperator 1.xx", True, id="no signature"),
        pytest.param("Bearer vo_" + "x" * 20_000, True, id="an endless one"),
        pytest.param("Bearer vo_ключ".encode(), True, id="bytes"),
    ],
)
async def test_without_a_valid_key_everything_is_refused(
    start_two: StartServer, keys: Keys, authorization: Any, given: bool
) -> None:
    keys.add("app", "*/*")
    headers = {} if authorization is None else {"Authorization": authorization}
    async with start_two() as server:
        answers = [await server.client.get(path, headers=headers) for path in PATHS]
        answers.append(await speak(server, headers))
        for answer in answers:
            assert answer.status_code == 401
            error = answer.json()["error"]
            assert (error["code"], error["type"]) == ("invalid_api_key", "invalid_request_error")
            assert answer.headers["www-authenticate"].startswith('Bearer realm="voices"')
            assert ("invalid_token" in answer.headers["www-authenticate"]) == given
        for path in ("/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"):
            assert (await server.client.get(path)).status_code == 200


async def test_a_key_speaks_and_sees_what_is_in_its_scope(start_two: StartServer, keys: Keys) -> None:
    studio, everything, nobody = (keys.add(name, f"{name}/*") for name in ("studio", "*", "nobody"))
    aliases = {"alloy": "studio/alice", "echo": "team/bob"}
    async with start_two(aliases=aliases) as server:

        async def seen(path: str, headers: dict[str, str]) -> set[str]:
            found = (await server.client.get(path, headers=headers)).json()
            return {one["id"] for one in found.get("data", found.get("voices"))}

        assert await seen("/v1/voices", studio) == {"studio/alice"}
        assert await seen("/v1/voices", everything) == {"studio/alice", "team/bob"}
        assert await seen("/v1/audio/voices", studio) == {"studio/alice", "alloy"}
        assert await seen("/v1/audio/voices", everything) == {"studio/alice", "team/bob", *aliases}
        assert await seen("/v1/models", studio) == {"tiny"}
        assert await seen("/v1/models", nobody) == set()
        for voice in ("studio/alice", "alloy"):
            assert (await speak(server, studio, voice)).status_code == 200
        assert (await speak(server, everything, "team/bob")).status_code == 200


async def test_a_voice_out_of_scope_is_answered_as_one_that_does_not_exist(start_two: StartServer, keys: Keys) -> None:
    """The same words, status and headers, in the same time."""
    studio = keys.add("studio", "studio/*", requestsPerMinute=0)
    async with start_two(aliases={"echo": "team/bob"}) as server:
        took: dict[str, list[float]] = {"team/bob": [], "team/nob": []}
        for _ in range(100):
            for voice, seconds in took.items():
                started = time.perf_counter()
                answer = await speak(server, studio, voice)
                seconds.append(time.perf_counter() - started)
                assert answer.status_code == 404
                said = answer.json()["error"]["message"]
                assert said == f"There is no voice {voice!r}; no voice of team is served here."
        hidden, absent = (statistics.median(seconds) for seconds in took.values())
        assert hidden == pytest.approx(absent, rel=0.25)
        alias = await speak(server, studio, "echo")
        nothing = await speak(server, studio, "ecco")
        assert alias.text.replace("echo", "ecco") == nothing.text


async def test_what_is_not_ready_is_not_named_to_anybody(
    make_bundle: MakeBundle, desired: Desired, start_server: StartServer, keys: Keys
) -> None:
    keys.add("app")
    broken = make_bundle()
    reference = broken.seal()
    (broken.folder / "prompt.safetensors").unlink()
    desired.write(reference)
    async with start_server(keys=keys.folder) as server:
        while server.services.registry.generation == 0:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        answer = await server.client.get("/readyz")
        assert answer.status_code == 503
        assert "studio" not in answer.text
        assert "alice" not in answer.text


async def test_limits_answer_429_with_the_time_to_wait_and_413(start_two: StartServer, keys: Keys, clock: Any) -> None:
    few = keys.add("few", requestsPerMinute=2)
    short = keys.add("short", charactersPerMinute=20)
    async with start_two() as server:
        assert [(await speak(server, few)).status_code for _ in range(2)] == [200, 200]
        refused = await speak(server, few)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "30")
        assert refused.json()["error"]["code"] == "rate_limit_exceeded"
        long = await speak(server, short, input="x" * 21)
        assert (long.status_code, long.json()["error"]["code"]) == (413, "text_too_long")
        assert (await speak(server, short, "studio/nobody")).status_code == 404
        assert (await speak(server, short)).status_code == 200, "what was refused cost nothing"
        assert (await speak(server, short)).status_code == 429


async def test_usage_tells_a_key_of_itself_alone(start_two: StartServer, keys: Keys) -> None:
    app, other = keys.add("app", charactersPerDay=1000), keys.add("other")
    async with start_two() as server:
        assert (await speak(server, app)).status_code == 200
        usage = (await server.client.get("/v1/usage", headers=app)).json()
        assert usage.pop("seconds") > 0.2
        assert usage == {
            "object": "usage",
            "key": "app",
            "since": "2027-10-31T12:00:00Z",
            "requests": 1,
            "refused": 0,
            "characters": len(TEXT),
            "charactersToday": len(TEXT),
            "limits": {"requestsPerMinute": 600, "charactersPerDay": 1000},
        }
        assert (await server.client.get("/v1/usage", headers=other)).json()["requests"] == 0


async def test_metrics_by_key_are_for_who_may_use_all_voices(start_two: StartServer, keys: Keys) -> None:
    app, everything = keys.add("app"), keys.add("all", "*/*")
    async with start_two() as server:
        assert (await speak(server, app)).status_code == 200

        async def shown(headers: dict[str, str]) -> str:
            return str((await server.client.get("/metrics", headers=headers)).text)

        assert f'voice_inference_key_characters_total{{key="app"}} {len(TEXT)}.0' in await shown(everything)
        assert 'voice_inference_key_requests_total{key="app",status="200"} 1.0' in await shown(everything)
        for text in (await shown({}), await shown(app)):
            assert "voice_inference_http_requests_total" in text
            assert 'key="' not in text
            assert "alice" not in text
        assert (await server.client.get("/metrics", headers={"Authorization": "Bearer vo_x"})).status_code == 401


async def test_the_access_log_has_key_voice_and_cost_and_never_a_text(
    start_two: StartServer, keys: Keys, caplog: pytest.LogCaptureFixture
) -> None:
    app = keys.add("app")
    caplog.set_level(logging.INFO, accounting.log.name)
    async with start_two() as server:
        await speak(server, app, input="A secret sentence.")
        await speak(server, app, "team/secret-name")
        await speak(server, {}, input="A secret sentence.")
        await server.client.get("/healthz")
    written = [record.getMessage() for record in caplog.records if record.name == accounting.log.name]
    assert "secret" not in "".join(written)
    spoken, missing, refused = (json.loads(line) for line in written if "audio/speech" in line)
    assert spoken.pop("seconds") > 0.2
    assert spoken.pop("took") > 0
    assert spoken == {
        "time": "2027-10-31T12:00:00.000+00:00",
        "client": "127.0.0.1",
        "key": "app",
        "method": "POST",
        "route": "/v1/audio/speech",
        "status": 200,
        "voice": "studio/alice",
        "characters": 18,
    }
    assert (missing["status"], missing["key"], missing["voice"], missing["characters"]) == (404, "app", "", 0)
    assert (refused["status"], refused["key"]) == (401, "")
    assert not any("/healthz" in line for line in written)


async def test_an_open_server_of_several_namespaces_warns(
    make_bundle: MakeBundle, desired: Desired, start_server: StartServer, caplog: pytest.LogCaptureFixture
) -> None:
    desired.write(make_bundle().seal(), make_bundle("team/bob").seal())
    async with start_server() as server:
        await server.until(lambda voices: len(voices) == 2)
        while "voices of 2 namespaces (studio, team)" not in caplog.text:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        assert (await server.client.get("/v1/usage")).json()["key"] == ""
