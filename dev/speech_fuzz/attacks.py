"""What is done to the server while a witness asks it well."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from urllib.parse import urlsplit

import httpx

from dev.speech_fuzz.hostile import Hostile, speech

CLIENTS = 4  # at a time
CONNECTIONS = 1000
HEARD = 256 << 10  # bytes of an answer, then its connection is cut
CUT = 300  # connections that are cut while they are answered

Attack = Callable[[str, str], Awaitable[Counter[str]]]


def requests(made: Callable[[], Iterable[Hostile]]) -> Attack:
    """Send requests, some at a time; count those that are answered as their table says, and name all others."""

    async def attack(url: str, key: str) -> Counter[str]:
        found: Counter[str] = Counter()
        waiting = iter(made())
        transport = httpx.AsyncHTTPTransport(local_address="127.0.0.2")
        async with httpx.AsyncClient(transport=transport, timeout=120) as client:
            await asyncio.gather(*(_send(client, url, key, waiting, found) for _ in range(CLIENTS)))
        return found

    return attack


async def _send(client: httpx.AsyncClient, url: str, key: str, waiting: Iterable[Hostile], found: Counter[str]) -> None:
    for hostile in waiting:
        headers = {"Authorization": f"Bearer {key}", **hostile.headers}
        try:
            asked = client.stream(hostile.method, url + hostile.path, content=hostile.body, headers=headers)
            async with asked as answer:
                heard = 0
                async for part in answer.aiter_raw():
                    heard += len(part)
                    if heard > HEARD:  # one text of 4,096 characters lasts for half an hour
                        break
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            found[f"{hostile.name}: {type(error).__name__}"] += 1
            continue
        # 401: the hostile header took the key's place.
        fits = answer.status_code in hostile.answers or (
            answer.status_code == 401 and "Authorization" in hostile.headers
        )
        found["answered" if fits else f"{hostile.name}: {answer.status_code}"] += 1


async def connections(url: str, _: str) -> Counter[str]:
    """Open 1,000 connections that say nothing, half of a header or half of a body, and wait until all are closed."""
    address = (urlsplit(url).hostname or "", urlsplit(url).port or 0)
    head = b"POST /v1/audio/speech HTTP/1.1\r\nHost: x\r\n"
    starts: Sequence[bytes] = (b"", head, head + b"Content-Length: 100\r\n\r\n{")

    async def one(number: int) -> str:
        try:
            reader, writer = await asyncio.open_connection(*address, local_addr=("127.0.0.2", 0))
            writer.write(starts[number % len(starts)])
            answer = await asyncio.wait_for(reader.read(), 60)
            writer.close()
        except OSError:
            return "closed"
        except TimeoutError:
            return "still open after 60 s"
        return "408" if b" 408 " in answer[:40] else "closed"

    return Counter(await asyncio.gather(*(one(number) for number in range(CONNECTIONS))))


async def cuts(url: str, key: str) -> Counter[str]:
    """Ask for speech and cut the connection after some bytes of the answer, by RST and by FIN."""
    address = (urlsplit(url).hostname or "", urlsplit(url).port or 0)
    draw = random.Random(1)  # noqa: S311 -- not a secret
    body = speech(input="This sentence is never heard to its end. " * 20)
    head = f"POST /v1/audio/speech HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n"
    head += f"Content-Length: {len(body)}\r\n\r\n"

    async def one(*, reset: bool, most: int) -> str:
        reader, writer = await asyncio.open_connection(*address, local_addr=("127.0.0.2", 0))
        writer.write(head.encode() + body)
        with contextlib.suppress(TimeoutError, OSError):
            await asyncio.wait_for(reader.read(most), draw.uniform(0.01, 1))
        if reset:
            raw: socket.socket = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        writer.close()
        return "cut"

    found: Counter[str] = Counter()
    for number in range(0, CUT, 10):
        ends = (one(reset=bool(place % 2), most=draw.randrange(1, 4096)) for place in range(number, number + 10))
        found.update(await asyncio.gather(*ends))
    return found
