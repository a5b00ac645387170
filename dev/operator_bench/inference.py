"""A server's pod without networks: it has loaded whatever the operator tells it to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, Self

import aiohttp
from aiohttp import web

from dev.loaded_voices import report_of

POLL_SECONDS = 0.5


class Inference:
    """Follows the list of voices as a pod does, with its ETag, and answers ``GET /v1/voices``."""

    def __init__(self, voices_url: str, token: Callable[[], Awaitable[str]]) -> None:
        self.port = 0
        self._url = voices_url
        self._token = token
        self._report = _report({"generation": 0, "voices": []})

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/v1/voices", self._answer)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]
        self._task = asyncio.create_task(self._follow())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await self._runner.cleanup()

    async def _answer(self, _: web.Request) -> web.Response:
        return web.Response(body=self._report, content_type="application/json")

    async def _follow(self) -> None:
        tag = token = ""
        async with aiohttp.ClientSession() as session:
            while True:
                await asyncio.sleep(POLL_SECONDS)
                token = token or await self._token()
                try:
                    headers = {"If-None-Match": tag, "Authorization": f"Bearer {token}"}
                    async with session.get(self._url, headers=headers) as answer:
                        if answer.status == 200:
                            self._report = _report(await answer.json())
                            tag = answer.headers.get("ETag", "")
                except aiohttp.ClientError:
                    continue  # the operator is away: what is loaded stays loaded


def _report(desired: dict[str, Any]) -> bytes:
    loaded = [report_of(voice, {}) for voice in desired["voices"]]
    return json.dumps({"object": "list", "generation": desired["generation"], "data": loaded}).encode()
