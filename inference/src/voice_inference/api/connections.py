"""HTTP connections that cost little while they are slow: time-outs for requests and readers, and how many there may be.

uvicorn ends idle connections between requests, and no others: neither one that never sends the rest of a header, nor
one that never reads its answer. asyncio waits a minute for a TLS handshake, keeps 256 KiB for each, and tells nobody of
it before it is done: so connections are counted where they are accepted.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import logging
import math
import resource
import socket
from asyncio.sslproto import SSLProtocol
from collections.abc import Callable
from typing import Any, Final
from weakref import WeakSet

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from voice_inference.errors import InvalidSettings

BACKLOG: Final = 2048  # as uvicorn's own
DESCRIPTORS_FOR_OTHERS: Final = 64  # files, the object store, the operator
HANDSHAKE_SECONDS: Final = 10.0
SHARE: Final = 0.75  # of all connections, for one address
RECORDS_BYTES: Final = 32 << 10  # what waits to be deciphered, of one connection; a record has 16 KiB
TOO_LATE: Final = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"

log = logging.getLogger(__name__)


class FrugalLoop(asyncio.SelectorEventLoop):
    """asyncio's own loop, whose servers wait HANDSHAKE_SECONDS for a TLS handshake and keep RECORDS_BYTES for each."""

    async def create_server(self, *arguments: Any, **options: Any) -> asyncio.Server:
        """Listen as asyncio does."""
        if options.get("ssl") is not None:
            SSLProtocol.max_size = RECORDS_BYTES
            options["ssl_handshake_timeout"] = HANDSHAKE_SECONDS
        return await super().create_server(*arguments, **options)


def listen(host: str, port: int, most: int) -> list[socket.socket]:
    """Return sockets on the host's addresses, on ``*`` all of IPv4 and IPv6, which have ``most`` connections at a time.

    More are closed as soon as they are accepted, and of one address those beyond its SHARE. There are never more than
    the process has descriptors for.

    Raises:
        InvalidSettings: the address is none of this machine's, or is taken.
    """
    places = _Places(min(most, usable_descriptors() - DESCRIPTORS_FOR_OTHERS))
    sockets: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(
            None if host == "*" else host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for family, *_, address in sorted(found):  # IPv4 first; all on one port
            port = sockets[0].getsockname()[1] if sockets else port
            try:
                sockets.append(_bound(family, (address[0], port, *address[2:]), places))
            except OSError as error:
                if not sockets or error.errno not in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:  # IPv6 is switched off
                    raise
    except OSError as error:
        raise InvalidSettings(f"cannot listen on --host={host} --port={port}: {error.strerror}; give others") from error
    return sockets


def _bound(family: int, address: tuple[Any, ...], places: _Places) -> socket.socket:
    plain = socket.create_server(address, family=family, backlog=BACKLOG)
    bounded = _BoundedListener(plain.family, plain.type, plain.proto, fileno=plain.detach())
    bounded.places = places
    return bounded


class _Places:
    """The connections that are open now, by address, and how many there may be."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._share = max(1, math.ceil(SHARE * most))
        self._taken: dict[str, WeakSet[_Connection]] = {}

    def take(self, connection: _Connection, host: str) -> bool:
        """Give the connection a place if there is one; an address has its share at most, so others always find one."""
        own = self._taken.setdefault(host, WeakSet())
        if len(own) >= self._share or sum(map(len, self._taken.values())) >= self._most:
            self._forget(host)
            return False
        own.add(connection)
        connection.gives_back = functools.partial(self._leave, host)
        return True

    def _leave(self, host: str, connection: _Connection) -> None:
        if host in self._taken:
            self._taken[host].discard(connection)
            self._forget(host)

    def _forget(self, host: str) -> None:
        if not self._taken[host]:
            del self._taken[host]


class _Connection(socket.socket):
    """An accepted socket that gives its place back when it is closed."""

    gives_back: Callable[[_Connection], None] | None = None

    def close(self) -> None:
        """Close it."""
        if self.gives_back is not None:
            self.gives_back(self)
        super().close()


class _BoundedListener(socket.socket):
    """A listening socket that closes what it has no place for."""

    places: _Places

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept a connection.

        Raises:
            ConnectionAbortedError: there are too many; asyncio goes on with the next one.
        """
        plain, address = super().accept()
        accepted = _Connection(plain.family, plain.type, plain.proto, fileno=plain.detach())
        if not self.places.take(accepted, address[0]):
            accepted.close()
            raise ConnectionAbortedError
        return accepted, address


def guarded_protocol(request_seconds: float, write_seconds: float) -> type[H11Protocol]:
    """Return the protocol class of uvicorn's server.

    Args:
        request_seconds: for all of a request to arrive.
        write_seconds: for a client to read while more is to be sent.
    """

    class Guarded(_GuardedProtocol):
        pass

    Guarded.request_seconds, Guarded.write_seconds = request_seconds, write_seconds
    return Guarded


def guarded_socket_protocol(write_seconds: float) -> type[WebSocketsSansIOProtocol]:
    """Return the protocol class of its WebSockets; ``write_seconds`` as above."""

    class Guarded(_EndsSlowReaders, WebSocketsSansIOProtocol):
        def shutdown(self) -> None:
            if not self.handshake_complete or self.close_sent:
                super().shutdown()
            # else its session ends by itself; uvicorn would close it in the middle of a sentence

    Guarded.write_seconds = write_seconds
    return Guarded


def usable_descriptors() -> int:
    """Raise the process's limit of open files as far as it may, and return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(soft, wanted)


class _EndsSlowReaders(asyncio.Protocol):
    """Before a protocol of uvicorn's: ends the connection of a client that does not read what waits for it."""

    write_seconds: float
    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    client: tuple[str, int] | None
    _patience: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        super().pause_writing()
        self._patience = self.loop.call_later(self.write_seconds, self._reader_is_slow)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._forget_patience()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_patience()
        super().connection_lost(exc)

    def _reader_is_slow(self) -> None:
        log.debug("%s reads its answer too slowly", self.client)
        self.transport.abort()

    def _forget_patience(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None


class _GuardedProtocol(_EndsSlowReaders, H11Protocol):
    request_seconds: float

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._deadline: asyncio.TimerHandle | None = None  # of the request that arrives
        self._upgraded = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._deadline = self.loop.call_later(self.request_seconds, self._request_is_late)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        arrives = not self._upgraded and self.conn.their_state in {h11.IDLE, h11.SEND_BODY}
        if not arrives:
            self._forget_deadline()
        elif self._deadline is None and not self.transport.is_closing():
            self._deadline = self.loop.call_later(self.request_seconds, self._request_is_late)

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        super().handle_websocket_upgrade(event)
        self._upgraded = True  # what follows is another protocol's, also its end

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_deadline()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        super().on_response_complete()  # and begins with a request that came behind this one
        self._forget_deadline()
        if not self._upgraded and self.conn.their_state is h11.SEND_BODY:
            self._deadline = self.loop.call_later(self.request_seconds, self._request_is_late)
        # what is idle uvicorn ends by itself

    def _request_is_late(self) -> None:
        self._deadline = None
        log.debug("%s sends its request too slowly", self.client)
        if self.cycle is None or not self.cycle.response_started:
            self.transport.write(TOO_LATE)
        self.transport.close()

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
