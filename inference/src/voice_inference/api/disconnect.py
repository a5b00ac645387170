"""Cancels the work for a request when its client disconnects."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from fastapi import Request

from voice_inference.errors import Cancelled

Result = TypeVar("Result")


async def until_disconnect(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """Return the result of the work; a client that disconnects first cancels it.

    Raises:
        Cancelled: the client has disconnected.
    """
    working = asyncio.create_task(work)
    disconnected = asyncio.create_task(_disconnect(request))
    try:
        await asyncio.wait({working, disconnected}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Cancelled("The client has disconnected.")
        return working.result()
    finally:
        for task in (working, disconnected):
            if not task.done():
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task


async def _disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
