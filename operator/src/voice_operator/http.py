"""The operator's own HTTP endpoint: desired voices for the inference pods, probes, metrics."""

import asyncio
import hashlib

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from voice_operator.metrics import Metrics
from voice_operator.servers import ServerReconciler


def application(servers: ServerReconciler, metrics: Metrics, has_synced: asyncio.Event) -> web.Application:
    """Return the routes. ``has_synced`` is set once the API server has answered for every kind."""

    async def voices(request: web.Request) -> web.Response:
        document = servers.documents.get((request.match_info["namespace"], request.match_info["name"]))
        if document is None:
            raise web.HTTPNotFound(text="this operator has not reconciled such a VoiceServer yet\n")
        tag = hashlib.sha256(document).hexdigest()[:32]
        if any(found.value in {tag, "*"} for found in request.if_none_match or ()):
            return web.Response(status=304, headers={"ETag": f'"{tag}"'})
        return web.Response(
            body=document, content_type="application/json", headers={"ETag": f'"{tag}"', "Cache-Control": "no-cache"}
        )

    async def healthy(_: web.Request) -> web.Response:
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


async def serve(app: web.Application, address: str) -> web.AppRunner:
    """Listen on host:port; the caller cleans the returned runner up."""
    host, _, port = address.rpartition(":")
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2)
    await runner.setup()
    await web.TCPSite(runner, host.strip("[]"), int(port)).start()
    return runner
