"""What nobody means well is refused in words: no request of the fuzz run's table makes the server fail."""

from typing import Any

import pytest
from dev.speech_fuzz.hostile import Hostile, damaged, table
from tests.inference.conftest import Desired, MakeBundle, StartServer

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_every_request_of_the_table_is_answered_as_it_says(
    make_bundle: MakeBundle, desired: Desired, start_server: StartServer, caplog: pytest.LogCaptureFixture
) -> None:
    desired.write(make_bundle().seal())
    async with start_server() as server:
        await server.until(lambda voices: voices.get("studio/alice", {}).get("state") == "ready")
        wrong: dict[str, Any] = {}
        for hostile in [*table(), *damaged(1, 60)]:
            problem = await _problem(server.client, hostile)
            if problem:
                wrong[hostile.name] = problem
        assert wrong == {}
        answer = await server.create_speech("studio/alice")
        assert answer.content.startswith(b"RIFF"), "others are spoken to as ever"
    assert not [record for record in caplog.records if record.exc_info]


async def _problem(client: Any, hostile: Hostile) -> str:
    """What is wrong with the answer; empty: nothing."""
    answer = await client.request(hostile.method, hostile.path, content=hostile.body, headers=dict(hostile.headers))
    if answer.status_code not in hostile.answers:
        return f"{answer.status_code}: {answer.text[:200]}"
    if answer.status_code >= 400:
        error = answer.json()["error"]
        if not (error["message"] and error["type"] and len(answer.content) < 4096):
            return f"{len(answer.content)} bytes: {answer.text[:200]}"
    return ""
