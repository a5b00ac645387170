"""A proxy in front of an S3 server that passes bytes on, or hangs, cuts, slows down, or is too busy."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Literal, Self

from tests.faults.threads import LoopThread

Mode = Literal["pass", "hang", "cut", "slow", "busy"]

SLOW_BYTES_PER_SECOND = 2_000
CHUNK_BYTES = 1 << 16
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_SLOW_DOWN = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>"


class S3Proxy:
    """TCP on both sides; only where it is too busy does it read HTTP."""

    def __init__(self, port: int) -> None:
        self._upstream = port
        self._mode: Mode = "pass"
        self._flowing = asyncio.Event()
        self._thread: LoopThread | None = None

    def __enter__(self) -> Self:
        self._thread = LoopThread("s3-proxy")
        self.port = self._thread.run(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        assert self._thread is not None
        self._thread.run(self._close())
        self._thread.close()

    @contextmanager
    def mode(self, mode: Mode) -> Iterator[None]:
        """Behave like this inside the block, on open connections too."""
        self._switch(mode)
        try:
            yield
        finally:
            self._switch("pass")

    def _switch(self, mode: Mode) -> None:
        async def switch() -> None:
            self._mode = mode
            if mode == "hang":
                self._flowing.clear()
            else:
                self._flowing.set()

        assert self._thread is not None
        self._thread.run(switch())

    async def _start(self) -> int:
        self._flowing.set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _close(self) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            if self._mode == "busy":
                await _refuse(reader, writer)
            elif self._mode == "cut":
                writer.transport.abort()
            else:
                await self._tunnel(reader, writer)
        writer.close()

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._upstream)
        tasks = [asyncio.create_task(self._pump(reader, back)), asyncio.create_task(self._pump(there, writer))]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            back.close()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        """Pass bytes on as the mode of the moment wants it; return at the end of the stream."""
        while data := await source.read(CHUNK_BYTES):
            await self._flowing.wait()
            if self._mode in {"cut", "busy"}:
                sink.transport.abort()
                return
            if self._mode == "slow":
                await asyncio.sleep(len(data) / SLOW_BYTES_PER_SECOND)
            sink.write(data)
            await sink.drain()


async def _refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one request with 503, and close."""
    head = await reader.readuntil(b"\r\n\r\n")
    if length := _LENGTH.search(head):
        await reader.readexactly(int(length[1]))
    headers = f"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nContent-Length: {len(_SLOW_DOWN)}\r\n"
    body = b"" if head.startswith(b"HEAD") else _SLOW_DOWN
    writer.write(headers.encode() + b"Connection: close\r\n\r\n" + body)
    await writer.drain()
