"""A streamed answer whose work ends with it, whenever that is."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from voice_inference.api.speech_service import SpeechStream


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
