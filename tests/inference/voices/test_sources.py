"""The desired voices are read from shards and from the operator, and survive the loss of either."""

import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from voice_inference.errors import FetchFailed
from voice_inference.voices.desired import DesiredVoices
from voice_inference.voices.sources import FileSource, NewestSource, OperatorSource

DIGEST = "sha256:" + "0" * 64


def document(generation: int, *names: str, **changes: Any) -> dict[str, Any]:
    return {
        "schema": "voice.sovits.dev/desired-voices/v1",
        "generation": generation,
        "base": {"name": "tiny", "uri": "embedded:tiny", "digest": ""},
        "voices": [
            {"id": f"studio/{name}", "revision": f"{name}-1", "uri": f"s3://voices/{name}", "digest": DIGEST}
            for name in names
        ],
    } | changes


def names_of(found: DesiredVoices | None) -> set[str]:
    assert found is not None
    return {voice.id.removeprefix("studio/") for voice in found.voices}


class Operator(ThreadingHTTPServer):
    """An HTTP server with an ETag, as the operator is one."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.status = 200
        self.shown: list[str | None] = []
        self.statuses: list[int] = []
        self.answer(1, "alice")

    def answer(self, generation: int, *names: str) -> None:
        self.body = json.dumps(document(generation, *names)).encode()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/servers/voice-system/default/voices.json"


class Answers(BaseHTTPRequestHandler):
    server: Operator

    def do_GET(self) -> None:
        self.server.shown.append(self.headers["Authorization"])
        etag = f'"{hash(self.server.body)}"'
        unchanged = self.headers["If-None-Match"] == etag and self.server.status == 200
        status = 304 if unchanged else self.server.status
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


class Folder:
    """The mounted ConfigMaps of one server."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def source(self) -> FileSource:
        return FileSource(self.path / "voices.json")

    def write(self, generation: int, *names: str, shard: int = 0, shards: int = 1, token: Any = "") -> None:
        written = document(generation, *names, shard=shard, shards=shards) | ({"token": token} if token else {})
        self.file(shard).write_text(json.dumps(written))

    def file(self, shard: int) -> Path:
        return self.path / (f"voices-{shard}.json" if shard else "voices.json")


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_an_unchanged_answer_is_sent_once(operator: Operator) -> None:
    source = OperatorSource(operator.url)
    assert source.latest() is source.latest()
    assert operator.statuses == [200, 304]


def test_a_changed_answer_is_seen_at_the_next_poll(operator: Operator) -> None:
    source = OperatorSource(operator.url)
    source.latest()
    operator.answer(2, "bob")
    assert names_of(source.latest()) == {"bob"}


def test_the_operator_is_asked_with_the_token_of_the_mounted_list(operator: Operator, folder: Folder) -> None:
    files = folder.source
    newest = NewestSource([OperatorSource(operator.url, token=files.token), files])
    folder.write(3, "bob", token="t0ken")
    assert names_of(newest.latest()) == {"bob"}
    assert names_of(newest.latest()) == {"bob"}
    folder.write(9, "mallory")
    newest.latest()
    assert operator.shown == [None, "Bearer t0ken", "Bearer t0ken"]
    assert "t0ken" not in repr(newest.latest())


@pytest.mark.parametrize("token", ["a\r\nX-More: 1", "é", "a b", 7, "x" * 300])
def test_a_token_that_no_header_may_have_is_refused(folder: Folder, token: Any) -> None:
    folder.write(1, "bob", token=token)
    assert folder.source.latest() is None


@pytest.mark.parametrize(("status", "body"), [(503, b""), (302, b""), (404, b"{}")])
def test_an_answer_that_is_no_document_is_a_failure(operator: Operator, status: int, body: bytes) -> None:
    operator.status, operator.body = status, body
    with pytest.raises(FetchFailed, match=str(status)):
        OperatorSource(operator.url).latest()


def test_all_shards_are_one_document_as_new_as_the_newest(folder: Folder) -> None:
    folder.write(7, "alice", shards=3)
    folder.write(9, "bob", "carol", shard=1, shards=3)
    folder.write(8, shard=2, shards=3)
    found = folder.source.latest()
    assert names_of(found) == {"alice", "bob", "carol"}
    assert found is not None
    assert found.generation == 9


def test_unchanged_files_are_the_same_document(folder: Folder) -> None:
    folder.write(1, "alice", shards=2)
    folder.write(1, "bob", shard=1, shards=2)
    source = folder.source
    assert source.latest() is source.latest()


def test_no_file_is_no_document(folder: Folder) -> None:
    assert folder.source.latest() is None


@pytest.mark.parametrize(
    ("shards", "missing"),
    [
        pytest.param({0: (0, 2)}, "voices-1.json is missing", id="the second shard is still to come"),
        pytest.param({1: (1, 2)}, "voices.json is missing", id="the first shard is still to come"),
        pytest.param({0: (0, 2), 1: (1, 3)}, "is shard 1 of 3, not 1 of 2", id="shards of different counts"),
        pytest.param({0: (0, 2), 1: (0, 2)}, "is shard 0 of 2, not 1 of 2", id="a shard under another's name"),
    ],
)
def test_while_shards_do_not_belong_together_the_last_complete_union_stays(
    folder: Folder, shards: dict[int, tuple[int, int]], missing: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder.write(1, "alice")
    newest = NewestSource([folder.source])
    newest.latest()
    folder.file(0).unlink()
    for number, (shard, count) in shards.items():
        folder.file(number).write_text(json.dumps(document(2, shard=shard, shards=count)))
    assert names_of(newest.latest()) == names_of(newest.latest()) == {"alice"}
    assert caplog.text.count(missing) == 1


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1)])
def test_another_number_of_shards_is_followed_once_all_are_there(folder: Folder, before: int, after: int) -> None:
    names = ("alice", "bob")
    newest = NewestSource([folder.source])
    for generation, count in ((1, before), (2, after)):
        for shard in reversed(range(count)):
            found = names[shard:] if shard == count - 1 else names[shard : shard + 1]
            folder.write(generation, *found, shard=shard, shards=count)
        document = newest.latest()
        assert names_of(document) == {"alice", "bob"}
        assert document is not None
        assert document.generation == generation


def test_a_damaged_shard_holds_up_no_removal_in_the_others(folder: Folder) -> None:
    folder.write(1, "alice", "bob", shards=2)
    folder.write(1, "carol", shard=1, shards=2)
    newest = NewestSource([folder.source])
    newest.latest()
    folder.file(1).write_text("{")
    folder.write(2, "bob", shards=2)
    assert names_of(newest.latest()) == {"bob", "carol"}


def test_the_highest_generation_wins(operator: Operator, folder: Folder) -> None:
    folder.write(5, "file")
    operator.answer(1, "operator")
    newest = NewestSource([OperatorSource(operator.url), folder.source])
    assert names_of(newest.latest()) == {"file"}
    operator.answer(6, "operator")
    assert names_of(newest.latest()) == {"operator"}


def test_of_equal_generations_the_operators_answer_wins(operator: Operator, folder: Folder) -> None:
    operator.answer(5, "operator")
    folder.write(5, "file")
    assert names_of(NewestSource([OperatorSource(operator.url), folder.source]).latest()) == {"operator"}


def test_the_last_answer_of_the_operator_outlives_it(operator: Operator, folder: Folder) -> None:
    operator.answer(6, "alice")
    newest = NewestSource([OperatorSource(operator.url), folder.source])
    newest.latest()
    operator.status, operator.body = 503, b"gone"
    folder.file(0).write_text("{")
    assert names_of(newest.latest()) == {"alice"}


def test_a_source_that_cannot_be_read_keeps_nothing_that_a_newer_one_has_removed(
    operator: Operator, folder: Folder
) -> None:
    operator.answer(6, "alice", "bob")
    newest = NewestSource([OperatorSource(operator.url), folder.source])
    newest.latest()
    operator.status = 503
    folder.write(7, "bob")
    assert names_of(newest.latest()) == {"bob"}
    folder.file(0).write_text("{")
    operator.status = 200
    operator.answer(8)
    assert names_of(newest.latest()) == set()


def test_a_shard_that_is_behind_brings_nothing_back_that_the_operator_has_removed(
    operator: Operator, folder: Folder
) -> None:
    folder.write(3, "alice", "bob", shards=2)
    folder.write(4, "carol", shard=1, shards=2)
    operator.answer(5, "bob", "carol")
    newest = NewestSource([OperatorSource(operator.url), folder.source])
    assert names_of(newest.latest()) == {"bob", "carol"}
    operator.status = 503
    folder.write(6, "dave", shard=1, shards=2)
    assert names_of(newest.latest()) == {"bob", "dave"}
    folder.write(5, "bob", "erin", shards=2)
    assert names_of(newest.latest()) == {"bob", "dave", "erin"}


def test_without_any_source_there_is_nothing(folder: Folder) -> None:
    unreachable = OperatorSource("http://127.0.0.1:9/voices.json")
    assert NewestSource([unreachable, folder.source]).latest() is None


def test_a_source_that_fails_and_recovers_is_logged_once_each(
    operator: Operator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    newest = NewestSource([OperatorSource(operator.url)])
    operator.status = 503
    for status in (503, 503, 200, 200):
        operator.status = status
        newest.latest()
    assert [record.getMessage() for record in caplog.records] == [
        f"the operator answered 503 at {operator.url}",
        f"the desired voices can be read from {operator.url} again",
    ]
