"""What each request was and cost: a line of JSON in the access log, the caller's totals, and the metrics by key."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TextIO

from starlette.types import ASGIApp, Receive, Scope, Send

from voice_inference.access.callers import Caller
from voice_inference.access.meters import Meter
from voice_inference.api.middleware import ANSWERED, PROBES, WatchedSend, route_of
from voice_inference.api.speech_service import Usage
from voice_inference.engine.sentence import TOKENS_PER_SECOND
from voice_inference.metrics import Metrics

_SCOPE_KEY: Final = "voice_inference.record"

log = logging.getLogger("voice_inference.access_log")


@dataclass
class Record:
    """What is known of a request; routes fill it in. Neither its text nor anything else that a caller wrote is here."""

    caller: Caller | None = None
    meter: Meter | None = None  # of an admitted speech request
    voice: str = ""  # that was found, not that was asked for
    usage: Usage | None = None  # of speech that has begun; it grows until the answer ends

    @property
    def seconds(self) -> float:
        """Speech that was made, before a change of its speed."""
        return self.usage.tokens / TOKENS_PER_SECOND if self.usage else 0.0

    @property
    def characters(self) -> int:
        """Characters of the text that is spoken."""
        return self.usage.characters if self.usage else 0


def record_of(scope: Scope) -> Record:
    """Return the record of a request."""
    record: Record = scope.setdefault(_SCOPE_KEY, Record())
    return record


def log_to(stream: TextIO) -> None:
    """Write the access log there, one JSON object a line, and nowhere else."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(message)s"))
    log.handlers = [handler]
    log.setLevel(logging.INFO)
    log.propagate = False


class AccountRequests:
    """Accounts for each request when its answer has ended, however it ends."""

    def __init__(self, app: ASGIApp, metrics: Metrics, clock: Callable[[], datetime], *, write: bool) -> None:
        """``write`` switches the log's lines."""
        self._app = app
        self._metrics = metrics
        self._clock = clock
        self._write = write

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] not in ANSWERED:
            await self._app(scope, receive, send)
            return
        record, started, watched = record_of(scope), time.monotonic(), WatchedSend(send)
        try:
            await self._app(scope, receive, watched)
        finally:
            status, route = watched.status, route_of(scope)
            if record.meter is not None:
                record.meter.release(record.seconds)
            if record.caller is not None and record.caller.id:
                self._metrics.count_key(record.caller.id, status, characters=record.characters, seconds=record.seconds)
            if self._write and route not in PROBES:
                log.info("%s", json.dumps(self._line(scope, record, route, status, time.monotonic() - started)))

    def _line(self, scope: Scope, record: Record, route: str, status: int, took: float) -> dict[str, object]:
        client = scope.get("client")
        return {
            "time": self._clock().isoformat(timespec="milliseconds"),
            "client": client[0] if client else "",
            "key": record.caller.id if record.caller else "",
            "method": scope.get("method", "GET"),  # a WebSocket has none
            "route": route,
            "status": status,
            "voice": record.voice,
            "characters": record.characters,
            "seconds": round(record.seconds, 2),
            "took": round(took, 3),
        }
