"""Answers that are sent as they are read: streams whose work ends with them, and whole files."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Final

from fastapi.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from voice_inference.api.speech_service import SpeechStream

SLICE: Final = 64 << 10  # bytes of a whole file that are written at a time


class WholeFile(Response):
    """Sends a file piece by piece: a client that reads it slowly, but reads, has time for each piece."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer."""
        del scope, receive
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for begin in range(0, len(self.body), SLICE):
            await send({"type": "http.response.body", "body": self.body[begin : begin + SLICE], "more_body": True})
        await send({"type": "http.response.body"})


class SpeechResponse(StreamingResponse):
    """Streams what is made of a speech stream.

    A client that disconnects leaves the generators where they are, perhaps not even begun; nobody closes these before
    the garbage collector does, and a worker would speak on for nobody.
    """

    def __init__(
        self, stream: SpeechStream, content: AsyncGenerator[bytes], *, media_type: str, headers: Mapping[str, str]
    ) -> None:
        super().__init__(content, media_type=media_type, headers=headers)
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; then stop the work for it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._stream.close()
