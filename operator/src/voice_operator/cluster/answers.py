"""Reads the bodies of HTTP answers within a bound: whoever answers may be broken or hostile."""

import aiohttp

from voice_operator.errors import AnswerTooLarge


async def read_bounded(answer: aiohttp.ClientResponse, limit: int) -> bytes:
    """Return the body, decompressed.

    Raises:
        AnswerTooLarge: it has more than ``limit`` bytes.
        aiohttp.ClientError, TimeoutError: the connection failed.
    """
    data = bytearray()
    async for chunk in answer.content.iter_any():
        data += chunk
        if len(data) > limit:
            raise AnswerTooLarge(f"{answer.url}: the answer is larger than {limit} bytes")
    return bytes(data)
