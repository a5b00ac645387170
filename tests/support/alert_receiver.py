"""A real HTTP server that receives alerts, and behaves as a test says: slow, broken, busy, or well."""

import asyncio
import base64
import hashlib
import hmac
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

SECRET = b"0123456789abcdef0123456789abcdef"
WRITTEN_SECRET = "whsec_" + base64.b64encode(SECRET).decode()

Behaviour = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Receiver:
    """What arrived, in order, and how the next requests are answered; 204 where nothing is said."""

    port: int = 0
    arrived: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    behaviours: list[Behaviour] = field(default_factory=list)
    always: Behaviour | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.arrived]

    @property
    def documents(self) -> list[Any]:
        return [json.loads(body) for _, body in self.arrived]

    def is_signed(self, number: int = -1, secret: bytes = SECRET) -> bool:
        """Verify a request as docs/alerts.md shows it."""
        headers, body = self.arrived[number]
        content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        expected = "v1," + base64.b64encode(hmac.new(secret, content, hashlib.sha256).digest()).decode()
        found = headers.get("webhook-signature", "").split(" ")
        return any(hmac.compare_digest(expected, signature) for signature in found)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.arrived.append((headers, await request.read()))
        behaviour = self.behaviours.pop(0) if self.behaviours else self.always
        return web.Response(status=204) if behaviour is None else await behaviour(request)


def answers(status: int, **headers: str) -> Behaviour:
    """Return the behaviour of a server that answers so."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, headers={name.replace("_", "-"): value for name, value in headers.items()})

    return answer


async def hangs_up(request: web.Request) -> web.StreamResponse:
    """Close the connection without an answer."""
    assert request.transport is not None
    request.transport.close()
    return web.Response()


@asynccontextmanager
async def a_receiver(port: int = 0) -> AsyncIterator[Receiver]:
    """Listen on a port of its own."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    receiver.port = runner.addresses[0][1]
    try:
        yield receiver
    finally:
        await runner.cleanup()


@contextmanager
def a_receiver_in_a_thread() -> Iterator[Receiver]:
    """Listen beside a test that waits; what it reads and sets is small enough to be shared."""
    started, end = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()
    found: list[Receiver] = []

    async def serve() -> None:
        async with a_receiver() as receiver:
            found.append(receiver)
            started.set()
            await end.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    assert started.wait(10)
    try:
        yield found[0]
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join(10)
        loop.close()
