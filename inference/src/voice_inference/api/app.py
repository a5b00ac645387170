"""The ASGI app: routes, errors, counting, and the agent that runs beside them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from importlib.metadata import version

from fastapi import FastAPI

from voice_inference.api import error_handlers
from voice_inference.api.middleware import CountRequests, LimitBody
from voice_inference.api.routes import router
from voice_inference.api.services import Services


def create_app(services: Services) -> FastAPI:
    """Return the app; its lifespan starts the agent, and ends when the last work has stopped."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        agent = asyncio.create_task(services.agent.run())
        yield
        agent.cancel()
        with suppress(asyncio.CancelledError):
            await agent
        await services.workers.close()

    app = FastAPI(
        title="Voice inference",
        version=version("voice-inference"),
        description="Text and a voice in, audio out; compatible with OpenAI's speech API.",
        lifespan=lifespan,
    )
    app.state.services = services
    app.include_router(router)
    error_handlers.install(app)
    app.add_middleware(LimitBody)
    app.add_middleware(CountRequests, metrics=services.metrics)
    return app
