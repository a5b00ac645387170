"""The operator's own HTTP endpoint: desired voices for the inference pods, probes, metrics."""

import asyncio
import contextlib
import hmac
import logging
import socket
from collections.abc import Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from voice_operator.errors import OperatorError
from voice_operator.metrics import Metrics
from voice_operator.voice_lists import VoiceListReconciler

log = logging.getLogger(__name__)
NO_LIST = "no list of voices is known for this token: it is in the server's mounted list, once that is written\n"
BACKLOG = 128  # as aiohttp's own


def application(
    lists: VoiceListReconciler, metrics: Metrics, has_synced: asyncio.Event, check: Callable[[], None]
) -> web.Application:
    """Return the routes.

    ``has_synced`` is set once the API server has answered for every kind; ``check`` raises where the process must begin
    anew.
    """

    async def voices(request: web.Request) -> web.Response:
        try:
            found = await lists.rendered(request.match_info["namespace"], request.match_info["name"])
        except OperatorError as error:
            log.warning("the list of %s cannot be told: %s", request.path, error)
            raise web.HTTPServiceUnavailable(text="the list cannot be read now\n") from error
        if found is None or not _shows(request, found.token):
            raise web.HTTPUnauthorized(text=NO_LIST, headers={"WWW-Authenticate": "Bearer"})
        if any(tag.value in {found.etag, "*"} for tag in request.if_none_match or ()):
            return web.Response(status=304, headers={"ETag": f'"{found.etag}"'})
        headers = {"ETag": f'"{found.etag}"', "Cache-Control": "no-cache"}
        return web.Response(body=found.body, content_type="application/json", headers=headers)

    async def healthy(_: web.Request) -> web.Response:
        try:
            check()
        except OperatorError as error:
            raise web.HTTPServiceUnavailable(text=f"{error}\n") from error
        return web.Response(text="ok\n")

    async def ready(_: web.Request) -> web.Response:
        if not has_synced.is_set():
            raise web.HTTPServiceUnavailable(text="the API server has not answered yet\n")
        return web.Response(text="ok\n")

    async def show_metrics(_: web.Request) -> web.Response:
        return web.Response(body=metrics.render(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application(client_max_size=1024)
    app.router.add_get("/servers/{namespace}/{name}/voices.json", voices)
    app.router.add_get("/healthz", healthy)
    app.router.add_get("/readyz", ready)
    app.router.add_get("/metrics", show_metrics)
    return app


def _shows(request: web.Request, token: str) -> bool:
    """Return whether a request has the token; one and the same answer tells nobody which servers there are."""
    shown = request.headers.get("Authorization", "")
    return bool(token) and hmac.compare_digest(shown.encode(errors="surrogateescape"), f"Bearer {token}".encode())


async def serve(app: web.Application, address: str) -> web.AppRunner:
    """Listen on host:port, or on *:port for all addresses; the caller cleans the returned runner up."""
    host, _, port = address.rpartition(":")
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2)
    await runner.setup()
    if host == "*":
        sites: list[web.BaseSite] = [web.SockSite(runner, one) for one in listen_everywhere(int(port))]
    else:
        sites = [web.TCPSite(runner, host.strip("[]"), int(port))]
    for site in sites:
        await site.start()
    return runner


def listen_everywhere(port: int) -> list[socket.socket]:
    """Return sockets on all addresses: of IPv4, and of IPv6 where the machine has it."""
    sockets = [socket.create_server(("", port), backlog=BACKLOG)]
    with contextlib.suppress(OSError):  # no IPv6, or switched off
        port = sockets[0].getsockname()[1]
        sockets.append(socket.create_server(("", port), family=socket.AF_INET6, backlog=BACKLOG))
    return sockets
