"""Middleware around every request: spans, metrics, HEAD, and a limit on the body's size."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import Final

from opentelemetry.trace import SpanKind, Status, StatusCode
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from voice_inference.metrics import Metrics
from voice_inference.tracing import NO_TRACE, Trace

BODY_LIMIT = 256 * 1024  # bytes; the longest input takes 48 KiB when every character is escaped
UNKNOWN_ROUTE = "unknown"
ANSWERED = {"http", "websocket"}  # kinds of scopes
PROBES: Final = {"/healthz", "/health", "/readyz", "/metrics"}  # several a second, and nobody's
METHODS: Final = {"GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE"}
_TRACE_KEY: Final = "voice_inference.trace"


class WatchedSend:
    """Passes an answer's messages on, and remembers its status; of a WebSocket 101, or why there is none."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0  # no response was started

    async def __call__(self, message: Message) -> None:
        """Pass a message on."""
        if message["type"] in {"http.response.start", "websocket.http.response.start"}:
            self.status = message["status"]
        elif message["type"] == "websocket.accept":
            self.status = HTTPStatus.SWITCHING_PROTOCOLS.value
        await self._send(message)


def route_of(scope: Scope) -> str:
    """Return the template of the route that answered; never the path, which callers choose."""
    return getattr(scope.get("route"), "path", UNKNOWN_ROUTE)


class MeasureRequests:
    """Counts and times requests by the route's template, never by the path, which callers choose."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and record its status and duration."""
        if scope["type"] not in ANSWERED:
            await self._app(scope, receive, send)
            return
        started, watched = time.monotonic(), WatchedSend(send)
        try:
            await self._app(scope, receive, watched)
        finally:
            route = route_of(scope)
            self._metrics.requests.labels(route, watched.status).inc()
            if scope["type"] == "http":  # a WebSocket is open as long as its client likes
                self._metrics.request_duration.labels(route).observe(time.monotonic() - started)


class AnswerHead:
    """Answers HEAD as GET without its body, where there is a GET."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self._app({**scope, "method": "GET"}, receive, send_head)


class LimitBody:
    """Stops reading a body beyond the limit; an HTTPException, as it is the one error that FastAPI passes on here."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; reading its body raises the error."""
        received = 0

        async def limited_receive() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > BODY_LIMIT:
                raise HTTPException(
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"The body is larger than {BODY_LIMIT} bytes; send less text."
                )
            return message

        await self._app(scope, limited_receive, send)


class TraceRequests:
    """Puts a span around each request but probes; below the caller's, where it names one."""

    def __init__(self, app: ASGIApp, root: Trace) -> None:
        self._app = app
        self._root = root

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] not in ANSWERED or scope["path"] in PROBES:
            await self._app(scope, receive, send)
            return
        method, watched = scope.get("method", "GET"), WatchedSend(send)
        parent = self._root.below(Headers(scope=scope).get("traceparent", ""))
        known = method if method in METHODS else "_OTHER"  # as OpenTelemetry names what callers make up
        with parent.child(known, kind=SpanKind.SERVER, http__request__method=known) as trace:
            scope[_TRACE_KEY] = trace
            try:
                await self._app(scope, receive, watched)
            finally:
                route = route_of(scope)
                trace.span.update_name(f"{known} {route}")
                trace.note(http__route=route, http__response__status_code=watched.status)
                if watched.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                    trace.span.set_status(Status(StatusCode.ERROR))


def trace_of(scope: Scope) -> Trace:
    """Return the span of a request; none where nothing is traced."""
    trace: Trace = scope.get(_TRACE_KEY, NO_TRACE)
    return trace
