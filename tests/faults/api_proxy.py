"""A proxy between one replica of the operator and the API server: it logs every request, and brings the faults."""

import asyncio
import json
import threading
import time
from collections import deque
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self

import aiohttp
import yaml
from aiohttp import web
from dev.kubeconfig import credentials_of
from tests.faults.rules import (
    LEASES,
    READS,
    Answer,
    Call,
    Cut,
    Delay,
    Fault,
    LostEvents,
    Request,
    Rule,
    Stale,
    request_of,
)
from tests.faults.threads import LoopThread
from yarl import URL

KEPT_ANSWERS = 8
MAX_BODY_BYTES = 64 << 20
NO_ANSWER = 0
FORWARDED_HEADERS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")


@dataclass(frozen=True)
class Entry:
    """One request."""

    at: float  # monotonic seconds of its arrival
    request: Request
    status: int  # of HTTP; NO_ANSWER: the connection was cut
    reached: bool  # the API server


@dataclass(eq=False)
class _Watch:
    """An open watch; setting ``last_line`` and ``ended`` ends it."""

    request: Request
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    last_line: bytes = b""


class ApiProxy:
    """Plain HTTP on 127.0.0.1 towards the operator, a client certificate towards the API server."""

    def __init__(self, admin: Path, folder: Path) -> None:
        self._server, self._tls = credentials_of(admin)
        self.log: list[Entry] = []
        self._lock = threading.Lock()
        self._rules: list[Rule] = []
        self._lost: list[LostEvents] = []
        self._silent: frozenset[str] | None = frozenset()  # None: every kind
        self._partitioned = False
        self._answers: dict[str, deque[bytes]] = {}
        self._watches: set[_Watch] = set()
        self._folder = folder
        self._thread: LoopThread | None = None

    def __enter__(self) -> Self:
        self._thread = LoopThread("api-proxy")
        port = self._thread.run(self._start())
        self.kubeconfig = _kubeconfig(self._folder / "operator.kubeconfig", port)
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._close())
        assert self._thread is not None
        self._thread.close()

    # What a test asks for

    @contextmanager
    def faults(self, *rules: Rule | LostEvents) -> Iterator[None]:
        """Let these rules hold inside the block."""
        with self._lock:
            self._rules += [rule for rule in rules if isinstance(rule, Rule)]
            self._lost += [rule for rule in rules if isinstance(rule, LostEvents)]
        try:
            yield
        finally:
            with self._lock:
                self._rules = [rule for rule in self._rules if rule not in rules]
                self._lost = [rule for rule in self._lost if rule not in rules]

    @contextmanager
    def silent_watches(self, resources: Collection[str] | None = None) -> Iterator[None]:
        """Let watches of these kinds (None: of all) stay open and say nothing, not even a bookmark."""
        self._silent = None if resources is None else frozenset(resources)
        try:
            yield
        finally:
            self._silent = frozenset()

    @contextmanager
    def partition(self) -> Iterator[None]:
        """Cut every connection, before anything reaches the API server."""
        self._partitioned = True
        self.end_watches()
        try:
            yield
        finally:
            self._partitioned = False

    def end_watches(self, status: int = 0, reason: str = "") -> None:
        """End every open watch: quietly, or with an ERROR event of this status."""
        line = b"" if not status else json.dumps({"type": "ERROR", "object": _status(status, reason)}).encode() + b"\n"
        self._run(self._end_watches(line))

    def entries(self, since: float = 0.0) -> list[Entry]:
        """Return the log from a moment (monotonic seconds) on."""
        with self._lock:
            return [entry for entry in self.log if entry.at >= since]

    def writes(self, since: float = 0.0) -> list[Entry]:
        """Return the writes that reached the API server, without the heartbeats of leader election."""
        entries = self.entries(since)
        return [
            entry for entry in entries if entry.request.is_write and entry.reached and entry.request.resource != LEASES
        ]

    # What happens to a request

    async def _start(self) -> int:
        # The lifetime of a watch is the API server's business.
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
        connector = aiohttp.TCPConnector(limit=0, ssl=self._tls)
        self._session = aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False)
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port: int = self._runner.addresses[0][1]
        return port

    async def _close(self) -> None:
        await self._end_watches(b"")
        await self._runner.cleanup()
        await self._session.close()

    async def _end_watches(self, line: bytes) -> None:
        for watch in list(self._watches):
            watch.last_line = line
            watch.ended.set()

    async def _handle(self, incoming: web.Request) -> web.StreamResponse:
        started, body = time.monotonic(), await incoming.read()
        asked = request_of(
            incoming.method,
            incoming.path,
            incoming.query,
            content_type=incoming.headers.get("Content-Type", ""),
            body=body,
            url=incoming.path_qs,
        )
        fault = self._fault_for(asked)
        if (invented := self._invented(fault, asked, incoming, started)) is not None:
            return invented
        try:
            if asked.verb == "watch":
                return await self._watch(incoming, asked, started)
            answer = await self._forward(incoming, body)
        except (aiohttp.ClientError, OSError, TimeoutError):
            return self._cut(started, asked, incoming, reached=False)
        self._keep(asked, answer)
        match fault:
            case Call():
                await asyncio.get_running_loop().run_in_executor(None, fault.action)
                return self._cut(started, asked, incoming, reached=True)
            case Cut():
                return self._cut(started, asked, incoming, reached=True)
            case Delay():
                await asyncio.sleep(fault.seconds)
        self._note(started, asked, answer.status, reached=True)
        return answer

    def _invented(
        self, fault: Fault | None, asked: Request, incoming: web.Request, started: float
    ) -> web.Response | None:
        """Return what the operator gets without the API server; None: the request is forwarded."""
        if isinstance(fault, Answer):
            self._note(started, asked, fault.status, reached=False)
            return _answer(fault)
        if fault == Cut(after=False):
            return self._cut(started, asked, incoming, reached=False)
        if isinstance(fault, Stale) and (earlier := self._earlier(asked, fault.back)) is not None:
            self._note(started, asked, HTTPStatus.OK, reached=False)
            return web.Response(body=earlier, content_type="application/json")
        return None

    def _fault_for(self, asked: Request) -> Fault | None:
        if self._partitioned:
            return Cut()
        with self._lock:
            met = [fault for rule in self._rules if (fault := rule.fault_for(asked)) is not None]
        return met[0] if met else None

    async def _forward(self, incoming: web.Request, body: bytes) -> web.Response:
        async with self._session.request(
            incoming.method, self._upstream(incoming), headers=_headers(incoming), data=body or None
        ) as answer:
            headers = {name: value for name, value in answer.headers.items() if name in {"Content-Type", "Retry-After"}}
            return web.Response(body=await answer.read(), status=answer.status, headers=headers)

    async def _watch(self, incoming: web.Request, asked: Request, started: float) -> web.StreamResponse:
        async with self._session.get(self._upstream(incoming), headers=_headers(incoming)) as upstream:
            self._note(started, asked, upstream.status, reached=True)
            if upstream.status != HTTPStatus.OK:
                return web.Response(body=await upstream.read(), status=upstream.status, content_type="application/json")
            response = web.StreamResponse(headers={"Content-Type": "application/json"})
            await response.prepare(incoming)
            watch = _Watch(asked)
            self._watches.add(watch)
            try:
                await self._relay(watch, upstream, response)
            except (aiohttp.ClientError, OSError):
                _abort(incoming)
            finally:
                self._watches.discard(watch)
                _hang_up(upstream)
            return response

    async def _relay(self, watch: _Watch, upstream: aiohttp.ClientResponse, response: web.StreamResponse) -> None:
        """Pass whole lines on, until one side ends."""
        ended = asyncio.create_task(watch.ended.wait())
        rest = b""
        try:
            while True:
                chunk = asyncio.create_task(upstream.content.readany())
                await asyncio.wait({chunk, ended}, return_when=asyncio.FIRST_COMPLETED)
                if ended.done():
                    chunk.cancel()
                    if watch.last_line:
                        await response.write(watch.last_line)
                    return
                if not chunk.result():
                    return
                *lines, rest = (rest + chunk.result()).split(b"\n")
                for line in lines:
                    if self._arrives(watch.request.resource, line):
                        await response.write(line + b"\n")
        finally:
            ended.cancel()

    def _arrives(self, resource: str, line: bytes) -> bool:
        if self._silent is None or resource in self._silent:
            return False
        with self._lock:
            if not self._lost:
                return True
            event: dict[str, Any] = json.loads(line)
            verdicts = [rule.loses(resource, event) for rule in self._lost]  # each of them counts it
            return not any(verdicts)

    def _cut(self, started: float, asked: Request, incoming: web.Request, *, reached: bool) -> web.Response:
        self._note(started, asked, NO_ANSWER, reached=reached)
        _abort(incoming)
        return web.Response(status=500)

    def _note(self, started: float, asked: Request, status: int, *, reached: bool) -> None:
        with self._lock:
            self.log.append(Entry(started, asked, status, reached))

    def _keep(self, asked: Request, answer: web.Response) -> None:
        if asked.verb not in READS or answer.status != HTTPStatus.OK or not isinstance(answer.body, bytes):
            return
        kept = self._answers.setdefault(asked.url, deque(maxlen=KEPT_ANSWERS))
        if not kept or kept[-1] != answer.body:
            kept.append(answer.body)

    def _earlier(self, asked: Request, back: int) -> bytes | None:
        kept = self._answers.get(asked.url) if asked.verb in READS else None
        return kept[max(-1 - back, -len(kept))] if kept else None

    def _upstream(self, incoming: web.Request) -> URL:
        return URL(f"{self._server}{incoming.raw_path}", encoded=True)

    def _run(self, coroutine: Any) -> None:
        assert self._thread is not None
        self._thread.run(coroutine)


def _kubeconfig(path: Path, port: int) -> Path:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "proxy",
        "clusters": [{"name": "proxy", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "proxy", "user": {}}],
        "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
    }
    path.write_text(yaml.safe_dump(document))
    return path


def _headers(incoming: web.Request) -> dict[str, str]:
    return {name: incoming.headers[name] for name in FORWARDED_HEADERS if name in incoming.headers}


def _answer(fault: Answer) -> web.Response:
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    return web.json_response(_status(fault.status, fault.reason), status=fault.status, headers=headers)


def _status(code: int, reason: str) -> dict[str, Any]:
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return status | {"message": f"{reason}, said the fault proxy", "reason": reason, "code": code}


def _hang_up(upstream: aiohttp.ClientResponse) -> None:
    """End a connection at once: a farewell of TLS takes an answer, and the loop may be closed before it comes."""
    if upstream.connection is not None and upstream.connection.transport is not None:
        upstream.connection.transport.abort()


def _abort(incoming: web.Request) -> None:
    if incoming.transport is not None:
        incoming.transport.abort()
