"""The desired voices are read from a file and from the operator, and survive the loss of either."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from voice_inference.errors import FetchFailed, InvalidDocument
from voice_inference.voices.desired import FileSource, NewestSource, OperatorSource, parse_desired

DIGEST = "sha256:" + "0" * 64


def document(generation: int = 1, **changes: Any) -> dict[str, Any]:
    voice = {"id": "studio/alice", "revision": "alice-1", "uri": "s3://voices/alice", "digest": DIGEST}
    return {
        "schema": "voice.sovits.dev/desired-voices/v1",
        "generation": generation,
        "base": {"name": "tiny", "uri": "embedded:tiny", "digest": ""},
        "voices": [voice],
    } | changes


def voice(**changes: Any) -> dict[str, Any]:
    return document()["voices"][0] | changes


class Operator(ThreadingHTTPServer):
    """An HTTP server with an ETag, as the operator is one."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.body = json.dumps(document()).encode()
        self.status = 200
        self.statuses: list[int] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/servers/voice-system/default/voices.json"


class Answers(BaseHTTPRequestHandler):
    server: Operator

    def do_GET(self) -> None:
        etag = f'"{hash(self.server.body)}"'
        status = 304 if self.headers["If-None-Match"] == etag else self.server.status
        self.server.statuses.append(status)
        body = b"" if status == 304 else self.server.body
        self.send_response(status)
        self.send_header("ETag", etag)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


@pytest.fixture
def operator() -> Iterator[Operator]:
    with Operator() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


def test_an_unchanged_document_is_sent_once(operator: Operator) -> None:
    source = OperatorSource(operator.url)
    assert source.latest() == source.latest()
    assert operator.statuses == [200, 304]


def test_a_changed_document_is_seen_at_the_next_poll(operator: Operator) -> None:
    source = OperatorSource(operator.url)
    source.latest()
    operator.body = json.dumps(document(2)).encode()
    found = source.latest()
    assert found is not None
    assert found.generation == 2


@pytest.mark.parametrize(("status", "body"), [(503, b""), (302, b""), (404, b"{}")])
def test_an_answer_that_is_no_document_is_a_failure(operator: Operator, status: int, body: bytes) -> None:
    operator.status, operator.body = status, body
    with pytest.raises(FetchFailed, match=str(status)):
        OperatorSource(operator.url).latest()


def test_the_highest_generation_wins(operator: Operator, tmp_path: Path) -> None:
    file = tmp_path / "voices.json"
    file.write_text(json.dumps(document(5)))
    newest = NewestSource((FileSource(file), OperatorSource(operator.url)))
    assert [found.generation for found in [newest.latest()] if found] == [5]
    operator.body = json.dumps(document(6)).encode()
    assert [found.generation for found in [newest.latest()] if found] == [6]


def test_the_last_document_of_the_operator_outlives_it(operator: Operator, tmp_path: Path) -> None:
    operator.body = json.dumps(document(6)).encode()
    newest = NewestSource((FileSource(tmp_path / "voices.json"), OperatorSource(operator.url)))
    newest.latest()
    operator.status, operator.body = 503, b"gone"
    (tmp_path / "voices.json").write_text("{")
    found = newest.latest()
    assert found is not None
    assert found.generation == 6


def test_without_any_source_there_is_nothing(tmp_path: Path) -> None:
    unreachable = OperatorSource("http://127.0.0.1:9/voices.json")
    assert NewestSource((FileSource(tmp_path / "voices.json"), unreachable)).latest() is None


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        pytest.param(document(schema="voice.sovits.dev/desired-voices/v2"), "schema", id="another schema version"),
        pytest.param(document(generation="7"), "generation", id="a generation that is text"),
        pytest.param(document(voices=[voice(digest="sha256:1")]), "voices.0.digest", id="a short digest"),
        pytest.param(document(voices=[voice(id="alice")]), "voices.0.id", id="an id without a namespace"),
        pytest.param(document(voices=[voice(id="../x/alice")]), "voices.0.id", id="an id with dots and slashes"),
        pytest.param(document(voices=[voice(), voice()]), "listed twice", id="the same voice twice"),
        pytest.param(
            document(base={"name": "big", "uri": "s3://bases/big", "digest": ""}),
            "needs a digest",
            id="an unpinned base",
        ),
    ],
)
def test_a_wrong_document_is_refused_with_the_field(changed: dict[str, Any], where: str) -> None:
    with pytest.raises(InvalidDocument, match=where):
        parse_desired(json.dumps(changed).encode(), source="test")


def test_fields_of_later_versions_are_ignored() -> None:
    found = parse_desired(json.dumps(document(colour="red")).encode(), source="test")
    assert [voice.id for voice in found.voices] == ["studio/alice"]
