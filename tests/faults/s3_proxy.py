"""A proxy in front of an S3 server: it passes bytes on, hangs, cuts, slows down, is too busy, or ends its client."""

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Literal, Self

from tests.faults.threads import LoopThread

Mode = Literal["pass", "hang", "cut", "slow", "busy"]

SLOW_BYTES_PER_SECOND = 2_000
CHUNK_BYTES = 1 << 16
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_WRITE = re.compile(rb"(?:PUT|POST|DELETE) \S+ HTTP/1\.1\r\n")  # clients begin each request with a packet
_SLOW_DOWN = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>"


@dataclass
class Crash:
    """The n-th write takes effect, ``action`` runs, and the answer is lost."""

    action: Callable[[], None]
    nth: int
    writes: int = 0

    @property
    def applied(self) -> bool:
        return self.writes >= self.nth


class S3Proxy:
    """TCP on both sides; only where it is too busy does it read HTTP."""

    def __init__(self, port: int) -> None:
        self._upstream = port
        self._mode: Mode = "pass"
        self._crash: Crash | None = None
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

    @contextmanager
    def crash(self, crash: Crash) -> Iterator[None]:
        """End the client at a write inside the block."""
        self._crash = crash
        try:
            yield
        finally:
            self._crash = None

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
        ends = asyncio.Event()  # the next answer ends the client
        tasks = [
            asyncio.create_task(self._pump(reader, back, on_request=lambda data: self._count(data, ends))),
            asyncio.create_task(self._pump(there, writer, ends=ends)),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            back.close()

    def _count(self, data: bytes, ends: asyncio.Event) -> None:
        if self._crash is not None and _WRITE.match(data):
            self._crash.writes += 1
            if self._crash.writes == self._crash.nth:
                ends.set()

    async def _pump(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        *,
        on_request: Callable[[bytes], None] = lambda _: None,
        ends: asyncio.Event | None = None,
    ) -> None:
        """Pass bytes on as the mode of the moment wants it; return at the end of the stream."""
        while data := await source.read(CHUNK_BYTES):
            on_request(data)
            await self._flowing.wait()
            if ends is not None and ends.is_set() and self._crash is not None:
                await asyncio.to_thread(self._crash.action)
                sink.transport.abort()
                return
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
