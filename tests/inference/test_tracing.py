"""Spans of a real server, received by a collector of ours in OTLP's own protobuf."""

import http.server
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any, Final

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from tests.inference.conftest import StartProcess
from tests.support.waiting import wait_for

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SECONDS: Final = 60
WORDS = ("Aardvark", "Zebra")


class Collector(http.server.ThreadingHTTPServer):
    """Keeps what it is sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.bodies: list[bytes] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def resources(self) -> list[Any]:
        return [one for body in self.bodies for one in ExportTraceServiceRequest.FromString(body).resource_spans]

    @property
    def spans(self) -> list[Span]:
        return [span for one in self.resources for scope in one.scope_spans for span in scope.spans]

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span.name == name]


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/v1/traces":
            self.server.bodies.append(body)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def attributes(span: Span) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in span.attributes}


def test_a_request_is_a_tree_of_spans_below_its_callers_and_has_no_text(
    make_bundle: Any,
    desired: Any,
    start_process: StartProcess,
    collector: Collector,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desired.write(make_bundle().seal())
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
    body = {"input": f"{WORDS[0]}. {WORDS[1]}.", "voice": "studio/alice", "response_format": "pcm", "seed": 1}
    headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": f"vendor={WORDS[0]}"}
    with start_process() as process:
        assert process.client.post("/v1/audio/speech", json=body, headers=headers).status_code == 200
        query = {"text": WORDS[1], "ref_audio_path": "studio/nobody", "text_lang": "en"}
        assert process.client.get("/tts", params=query, headers=headers).status_code == 404
        wait_for("the spans", lambda: collector.named("POST /v1/audio/speech") and collector.named("GET /tts"), SECONDS)
    (request,) = collector.named("POST /v1/audio/speech")
    assert (request.trace_id.hex(), request.parent_span_id.hex()) == (TRACE, PARENT)
    assert request.kind == Span.SPAN_KIND_SERVER
    assert attributes(request) == {
        "http.request.method": "POST",
        "http.route": "/v1/audio/speech",
        "http.response.status_code": 200,
    }
    (speak,) = collector.named("speak")
    sentences = collector.named("sentence")
    assert speak.parent_span_id == request.span_id
    assert attributes(speak).items() >= {"voice": "studio/alice", "format": "pcm", "characters": 16}.items()
    assert len(sentences) == 2
    assert {span.parent_span_id for span in (*sentences, *collector.named("read"))} == {speak.span_id}
    assert attributes(speak)["tokens"] == sum(attributes(span)["tokens"] for span in sentences)
    for name in ("s1", "s2"):
        assert {span.parent_span_id for span in collector.named(name)} == {span.span_id for span in sentences}
    assert {span.trace_id.hex() for span in collector.spans} == {TRACE}
    assert all(span.start_time_unix_nano <= span.end_time_unix_nano for span in collector.spans)
    assert not collector.named("GET /readyz"), "probes are nobody's"
    about = {one.key: one.value.string_value for one in collector.resources[0].resource.attributes}
    assert about["service.name"] == "voice-inference"
    sent = b"".join(collector.bodies)
    assert not [word for word in (*WORDS, "nobody", "vendor") if word.lower().encode() in sent.lower()]


def test_a_collector_that_is_not_there_harms_nobody(
    make_bundle: Any, desired: Any, start_process: StartProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    desired.write(make_bundle().seal())
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    body = {"input": "Hello.", "voice": "studio/alice", "response_format": "wav"}
    with start_process() as process:
        for _ in range(2):
            assert process.client.post("/v1/audio/speech", json=body).status_code == 200


def test_nothing_of_the_library_is_loaded_without_an_endpoint() -> None:
    code = (
        "import sys, json; from voice_inference.__main__ import main; from voice_inference.tracing import Tracing;"
        "before = Tracing({}).is_on;"
        "loaded = [n for n in sys.modules if n.startswith(('opentelemetry.sdk', 'requests'))];"
        "on = Tracing({'OTEL_EXPORTER_OTLP_ENDPOINT': 'http://127.0.0.1:1'}).is_on;"
        "print(json.dumps([before, loaded, on]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [False, [], True]
