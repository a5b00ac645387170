"""Somebody who asks well all the while: how long each of their requests takes, quiet and beside an attack."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

ADDRESS = "127.0.0.9"
PAUSE_SECONDS = 0.05
LISTING, SPEAKING = "list voices", "speak"


class Witness:
    """Lists the voices and has a short sentence spoken, in turn, from an address of its own."""

    def __init__(self, url: str, key: str, voice: str) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {key}"}
        self._body = {"input": "Good morning.", "voice": voice, "response_format": "pcm", "seed": 1}
        self.seconds: dict[str, list[float]] = {LISTING: [], SPEAKING: []}
        self.refused = 0

    @property
    def fewest(self) -> int:
        """How many answers it has of each kind, at least."""
        return min(len(found) for found in self.seconds.values())

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[None]:
        """Ask until the block ends."""
        task = asyncio.create_task(self._ask())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _ask(self) -> None:
        transport = httpx.AsyncHTTPTransport(local_address=ADDRESS)
        async with httpx.AsyncClient(transport=transport, timeout=120, headers=self._headers) as client:
            while True:
                for what in (LISTING, SPEAKING):
                    started = time.perf_counter()
                    try:
                        if what == LISTING:
                            answer = await client.get(f"{self._url}/v1/voices")
                        else:
                            answer = await client.post(f"{self._url}/v1/audio/speech", json=self._body)
                    except httpx.TransportError:
                        self.refused += 1
                        continue
                    self.refused += not answer.is_success
                    self.seconds[what].append(time.perf_counter() - started)
                    await asyncio.sleep(PAUSE_SECONDS)
