"""Spans of requests for OpenTelemetry: HTTP, speech, sentences, S1, S2. No text, nor any word of a caller, is in them.

Work goes on in threads that serve other requests in between, so a span's parent is handed on and never looked up.
Off unless OTEL_EXPORTER_OTLP_ENDPOINT is set; the library's own variables say the rest
(https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from opentelemetry.context import Context
from opentelemetry.trace import (
    INVALID_SPAN,
    NoOpTracer,
    Span,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from voice_inference.errors import InvalidSettings

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
SERVICE_NAME: Final = "OTEL_SERVICE_NAME"
Attribute = str | int | float | bool

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trace:
    """One span, or none, below which others are put."""

    tracer: Tracer = field(default_factory=NoOpTracer)
    context: Context = field(default_factory=Context)
    span: Span = INVALID_SPAN

    @contextmanager
    def child(self, name: str, *, kind: SpanKind = SpanKind.INTERNAL, **attributes: Attribute) -> Iterator[Trace]:
        """Put a span below this one until the block ends; of an error its class is noted, its words may be texts."""
        span = self.tracer.start_span(name, self.context, kind, _named(attributes))
        try:
            yield Trace(self.tracer, set_span_in_context(span, self.context), span)
        except Exception as error:
            span.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise
        finally:
            span.end()

    def note(self, **attributes: Attribute) -> None:
        """Say more of the span."""
        self.span.set_attributes(_named(attributes))

    def below(self, traceparent: str) -> Trace:
        """Return the caller's span, where W3C's ``traceparent`` names one, to put spans below.

        Its ``tracestate`` is left alone: it may hold anything.
        """
        carrier = {"traceparent": traceparent}
        return Trace(self.tracer, TraceContextTextMapPropagator().extract(carrier, self.context))


NO_TRACE: Final = Trace()


class Tracing:
    """Where spans go, as the environment says."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Load the library where the environment names an endpoint.

        Raises:
            InvalidSettings: it names one, and the library is not installed.
        """
        self._provider: TracerProvider | None = None
        self.root = NO_TRACE
        named = next((name for name in ENDPOINTS if environment.get(name)), None)
        if named is None:
            return
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
            from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
            from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
            from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        except ImportError as error:
            raise InvalidSettings(f"{named} needs voice-inference[telemetry]; install it, or unset it") from error
        about = {"service.version": version("voice-inference")}
        if not environment.get(SERVICE_NAME):
            about["service.name"] = "voice-inference"
        self._provider = TracerProvider(resource=Resource.create(about), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self.root = Trace(self._provider.get_tracer("voice_inference"))
        log.info("spans of requests go to %s", named)

    @property
    def is_on(self) -> bool:
        """Whether spans go anywhere."""
        return self._provider is not None

    def close(self) -> None:
        """Send what is left; blocks."""
        if self._provider is not None:
            self._provider.shutdown()


def _named(attributes: Mapping[str, Attribute]) -> dict[str, Attribute]:
    """Return attributes by their dotted names, ``http__route`` for ``http.route``; empty ones are left out."""
    return {name.replace("__", "."): value for name, value in attributes.items() if value != ""}
