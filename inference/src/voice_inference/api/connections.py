"""HTTP connections that cost little while they are slow: time-outs for requests and readers, and how many there may be.

uvicorn ends idle connections between requests, and no others: neither one that never sends the rest of a header, nor
one that never reads its answer.
"""

from __future__ import annotations

import asyncio
import logging
import resource
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

DESCRIPTORS_FOR_OTHERS: Final = 64  # files, the object store, the operator
TOO_LATE: Final = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"

log = logging.getLogger(__name__)


def guarded_protocol(most: int, request_seconds: float, write_seconds: float) -> type[H11Protocol]:
    """Return the protocol class of uvicorn's server.

    Args:
        most: connections at a time; never more than the process has descriptors for.
        request_seconds: for all of a request to arrive.
        write_seconds: for a client to read while more is to be sent.
    """
    most = min(most, usable_descriptors() - DESCRIPTORS_FOR_OTHERS)

    class Guarded(_GuardedProtocol):
        limits = (most, request_seconds, write_seconds)

    return Guarded


def usable_descriptors() -> int:
    """Raise the process's limit of open files as far as it may, and return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(soft, wanted)


class _GuardedProtocol(H11Protocol):
    limits: tuple[int, float, float]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._deadline: asyncio.TimerHandle | None = None  # of the request that arrives
        self._patience: asyncio.TimerHandle | None = None  # with a client that does not read

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        most, request_seconds, _ = self.limits
        super().connection_made(transport)
        if len(self.connections) > most:
            transport.abort()
            return
        self._deadline = self.loop.call_later(request_seconds, self._request_is_late)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        arrives = self.conn.their_state in {h11.IDLE, h11.SEND_BODY}
        if not arrives:
            self._forget_deadline()
        elif self._deadline is None and not self.transport.is_closing():
            self._deadline = self.loop.call_later(self.limits[1], self._request_is_late)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._patience = self.loop.call_later(self.limits[2], self._reader_is_slow)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._forget_patience()

    def connection_lost(self, error: Exception | None) -> None:
        self._forget_deadline()
        self._forget_patience()
        super().connection_lost(error)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._forget_deadline()  # what follows is idle, which uvicorn ends by itself

    def _request_is_late(self) -> None:
        self._deadline = None
        log.debug("%s sends its request too slowly", self.client)
        if self.cycle is None or not self.cycle.response_started:
            self.transport.write(TOO_LATE)
        self.transport.close()

    def _reader_is_slow(self) -> None:
        log.debug("%s reads its answer too slowly", self.client)
        self.transport.abort()

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _forget_patience(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
