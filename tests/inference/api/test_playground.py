"""The playground's files: nothing from elsewhere, no markup out of data, and a switch."""

import re

import pytest
from tests.inference.conftest import StartServer

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_no_script_runs_but_its_own(start_server: StartServer) -> None:
    async with start_server() as server:
        page = await server.client.get("/")
        policy = page.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';")
        assert "unsafe" not in policy
        names = ["/", *(f"/{path}" for path in re.findall(r'(?:src|href)="(playground/[^"]+)"', page.text))]
        names += [f"/playground/{name}.js" for name in ("speech", "player", "spectrogram", "comparison")]
        assert len(names) == 7
        for name in names:
            answer = await server.client.get(name)
            assert answer.status_code == 200
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|https?:", answer.text)
            assert not re.search(r"""<script(?! type="module" src)|\son\w+=["']|\sstyle=""", answer.text)
        assert (await server.client.head("/")).status_code == 200
        assert "/playground" not in (await server.client.get("/openapi.json")).text


async def test_it_can_be_switched_off(start_server: StartServer) -> None:
    async with start_server(playground=False) as server:
        refused = await server.client.get("/")
        assert (refused.status_code, refused.headers["allow"]) == (405, "POST"), "SillyTavern's clients speak there"
        assert (await server.client.get("/playground/page.js")).status_code == 404


async def test_the_page_of_the_api_is_of_this_server_alone(start_server: StartServer) -> None:
    async with start_server() as server:
        page = await server.client.get("/docs")
        assert not re.search(r"https?:", page.text)
        names = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        assert len(names) == 3, "script, style and icon"
        for name in names:
            assert (await server.client.get(name)).status_code == 200, name
        assert (await server.client.get("/redoc")).status_code == 404
