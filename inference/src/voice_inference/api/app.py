"""The ASGI app: routes, error handlers, middleware, and the syncer in its lifespan."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi_offline import FastAPIOffline

from voice_inference.api import error_handlers
from voice_inference.api.accounting import AccountRequests
from voice_inference.api.middleware import AnswerHead, LimitBody, MeasureRequests, TraceRequests
from voice_inference.api.official_routes import router as official_router
from voice_inference.api.playground import playground
from voice_inference.api.routes import router
from voice_inference.api.sample_routes import router as sample_router
from voice_inference.api.services import Services
from voice_inference.api.sillytavern_routes import router as sillytavern_router
from voice_inference.api.speech_socket import router as socket_router


def create_app(services: Services) -> FastAPI:
    """Return the app; its lifespan starts the syncer, and ends when the last worker has stopped."""

    def namespaces() -> set[str]:
        return {entry.desired.id.partition("/")[0] for entry in services.registry}

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        loops = [services.syncer.run(), services.gate.run(namespaces)]
        if services.certificate is not None:
            loops.append(services.certificate.run())
        tasks = [asyncio.create_task(one) for one in loops]
        yield
        for task in tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await services.workers.close()
        services.samples.close()
        services.gate.close()
        await asyncio.to_thread(services.tracing.close)

    app = FastAPIOffline(
        redoc_url=None,
        static_url="/docs/files",  # of its page, which loads nothing from elsewhere
        title="Voice inference",
        version=version("voice-inference"),
        description="Text and a voice in, audio out; compatible with OpenAI's speech API.",
        lifespan=lifespan,
    )
    app.state.services = services
    app.include_router(router)
    app.include_router(sample_router)
    app.include_router(official_router)
    app.include_router(sillytavern_router)
    app.include_router(socket_router)
    if services.settings.playground:
        app.include_router(playground())
    error_handlers.install(app)
    app.add_middleware(LimitBody)
    app.add_middleware(AnswerHead)
    if origins := services.settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(origins),
            allow_methods=["GET", "POST"],
            allow_headers=["*"],
            expose_headers=["*"],
        )
    app.add_middleware(MeasureRequests, metrics=services.metrics)
    app.add_middleware(
        AccountRequests,
        metrics=services.metrics,
        clock=services.clock,
        write=services.settings.access_log,
    )
    if services.tracing.is_on:
        app.add_middleware(TraceRequests, root=services.tracing.root)
    return app
