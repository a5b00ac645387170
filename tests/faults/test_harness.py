"""The harness itself: rules, proxies and the checker do what the scenarios believe."""

import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from tests.faults.never import Judge, entries_of
from tests.faults.results import sentence
from tests.faults.rules import Answer, LostEvents, Rule, concerns, request_of
from tests.faults.s3_proxy import Crash, S3Proxy
from tests.faults.snapshot import differences

VOICES = "/apis/voice.sovits.dev/v1alpha1/namespaces/studio/voicemodels"
REFUSED = Answer(409, "Conflict")


@pytest.mark.parametrize(
    ("method", "path", "query", "content_type", "expected"),
    [
        ("GET", VOICES, {}, "", ("list", "voicemodels", "studio", "", "")),
        ("GET", VOICES, {"watch": "true"}, "", ("watch", "voicemodels", "studio", "", "")),
        ("GET", f"{VOICES}/alice", {}, "", ("get", "voicemodels", "studio", "alice", "")),
        (
            "PATCH",
            f"{VOICES}/alice/status",
            {},
            "application/apply-patch+yaml",
            ("apply", "voicemodels", "studio", "alice", "status"),
        ),
        ("DELETE", "/apis/batch/v1/namespaces/studio/jobs/j", {}, "", ("delete", "jobs", "studio", "j", "")),
        ("GET", "/api/v1/namespaces/studio", {}, "", ("get", "namespaces", "", "studio", "")),
        ("GET", "/apis/apps/v1/deployments", {}, "", ("list", "deployments", "", "", "")),
        ("GET", "/apis/apps/v1", {}, "", ("get", "", "", "", "")),
    ],
)
def test_a_request_is_read_as_rbac_reads_it(
    method: str, path: str, query: dict[str, str], content_type: str, expected: tuple[str, ...]
) -> None:
    request = request_of(method, path, query, content_type=content_type)
    assert (request.verb, *request.target[1:]) == expected


def test_a_created_object_has_the_name_in_its_body() -> None:
    body = json.dumps({"metadata": {"name": "alice-1"}}).encode()
    assert request_of("POST", VOICES, {}, body=body).concerns("alice")
    assert not request_of("POST", VOICES, {}, body=body).concerns("al")


def test_the_nth_request_that_fits_meets_its_fault() -> None:
    rule = Rule(REFUSED, verbs={"get"}, nth=2)
    requests = [request_of("GET", f"{VOICES}/{name}", {}) for name in ("a", "b", "c")]
    assert rule.fault_for(request_of("DELETE", f"{VOICES}/a", {})) is None
    assert [rule.fault_for(request) for request in requests] == [None, REFUSED, None]


def test_a_target_meets_its_fault_once() -> None:
    rule = Rule(REFUSED, once_per_target=True)
    requests = [request_of("GET", f"{VOICES}/{name}", {}) for name in ("a", "a", "b")]
    assert [rule.fault_for(request) for request in requests] == [REFUSED, None, REFUSED]


def test_the_nth_event_of_a_voice_is_lost() -> None:
    loss = LostEvents(where=concerns("alice"), nth=2)
    events = [event("alice"), event("bob"), event("j", {"voice.sovits.dev/voice-model": "alice"}), event("alice")]
    assert [loss.loses("any", one) for one in events] == [False, False, True, False]


def event(name: str, labels: dict[str, str] | None = None) -> dict[str, Any]:
    return {"type": "MODIFIED", "object": {"metadata": {"name": name, "labels": labels or {}}}}


# The S3 proxy


class Hello(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def s3_proxy() -> Iterator[S3Proxy]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Hello) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        with S3Proxy(server.server_port) as proxy:
            yield proxy
        server.shutdown()


def ask(proxy: S3Proxy, timeout: float = 5) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{proxy.port}/", timeout=timeout) as answer:
        return bytes(answer.read())


def test_the_s3_proxy_passes_answers_on(s3_proxy: S3Proxy) -> None:
    assert ask(s3_proxy) == b"hello"


def test_the_s3_proxy_hangs_and_answers_again(s3_proxy: S3Proxy) -> None:
    with s3_proxy.mode("hang"), pytest.raises(TimeoutError):
        ask(s3_proxy, timeout=0.5)
    assert ask(s3_proxy) == b"hello"


def test_the_s3_proxy_cuts(s3_proxy: S3Proxy) -> None:
    with s3_proxy.mode("cut"), pytest.raises((urllib.error.URLError, ConnectionError)):
        ask(s3_proxy)


def test_the_s3_proxy_cuts_what_was_open_before(s3_proxy: S3Proxy) -> None:
    with socket.create_connection(("127.0.0.1", s3_proxy.port)) as connection, s3_proxy.mode("cut"):
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        with suppress(ConnectionResetError):
            assert not connection.recv(100)


def test_the_s3_proxy_is_slow(s3_proxy: S3Proxy) -> None:
    started = time.monotonic()
    with s3_proxy.mode("slow"):
        assert ask(s3_proxy) == b"hello"
    assert time.monotonic() - started > 0.1


def test_the_s3_proxy_is_too_busy(s3_proxy: S3Proxy) -> None:
    with s3_proxy.mode("busy"), pytest.raises(urllib.error.HTTPError, match="503"):
        ask(s3_proxy)


def test_the_s3_proxy_ends_a_client_after_its_nth_write(s3_proxy: S3Proxy) -> None:
    ended: list[str] = []
    crash = Crash(lambda: ended.append("killed"), nth=2)

    def put() -> bytes:
        request = urllib.request.Request(f"http://127.0.0.1:{s3_proxy.port}/", data=b"x", method="PUT")
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
            return bytes(answer.read())

    with s3_proxy.crash(crash):
        assert (put(), ask(s3_proxy), crash.applied) == (b"hello", b"hello", False)
        with pytest.raises((urllib.error.URLError, ConnectionError)):
            put()
        assert (put(), ended, crash.writes) == (b"hello", ["killed"], 3)


# The checker


def job(name: str, uid: str, *, end: str = "", input_hash: str = "h1") -> dict[str, Any]:
    labels = {"voice-model": "alice", "stage": "train", "input-hash": input_hash}
    metadata = {"namespace": "studio", "name": name, "uid": uid}
    conditions = [{"type": end, "status": "True"}] if end else []
    return {
        "metadata": metadata | {"labels": {f"voice.sovits.dev/{key}": value for key, value in labels.items()}},
        "status": {"conditions": conditions},
    }


@pytest.mark.parametrize(
    ("jobs", "violations"),
    [
        pytest.param([job("t-1", "a"), job("t-1", "a", end="Complete")], 0, id="one Job that completes"),
        pytest.param([job("t-1", "a", end="Failed"), job("t-2", "b")], 0, id="another attempt after a failure"),
        pytest.param([job("t-1", "a", end="Complete"), job("t-1", "b", input_hash="h2")], 0, id="another input"),
        pytest.param([job("t-1", "a", end="Complete"), job("t-2", "b")], 1, id="a second training of one input"),
        pytest.param([job("t-1", "a"), job("t-2", "b")], 1, id="two Jobs at once"),
        pytest.param([job("t-1", "a", end="Failed"), job("t-1", "b")], 1, id="one attempt twice"),
    ],
)
def test_never_two_trainings_of_one_input(jobs: list[dict[str, Any]], violations: int) -> None:
    checker = Judge(60)
    for one in jobs:
        checker.job_changed(one)
    assert len(checker.violations) == violations


def test_another_attempt_after_a_deleted_job_is_allowed() -> None:
    checker = Judge(60)
    checker.job_changed(job("t-1", "a"))
    checker.job_deleted(job("t-1", "a"))
    checker.job_changed(job("t-2", "b"))
    checker.jobs_listed([])
    checker.job_changed(job("t-3", "c"))
    assert checker.violations == []


ENTRY = {"id": "studio/alice", "uri": "s3://voices/alice", "digest": "sha256:1"}


def voice(*, revoked: bool) -> dict[str, Any]:
    return {"metadata": {"namespace": "studio", "name": "alice"}, "spec": {"consent": {"revoked": revoked}}}


def test_never_a_revoked_voice_beyond_the_bound() -> None:
    checker = Judge(60)
    checker.voice_updated(voice(revoked=True), 100)
    checker.voice_updated(voice(revoked=True), 130)
    checker.served("one", lambda: [ENTRY], lambda _: "sha256:1", 159)
    assert checker.violations == []
    checker.served("one", lambda: [ENTRY], lambda _: "sha256:1", 161)
    checker.served("one", lambda: [ENTRY], lambda _: "sha256:1", 162)
    assert len(checker.violations) == 1
    assert checker.longest_revoked_seconds == 62


def test_a_voice_whose_consent_is_renewed_may_be_served() -> None:
    checker = Judge(60)
    checker.voice_updated(voice(revoked=True), 100)
    checker.voice_updated(voice(revoked=False), 110)
    checker.served("one", lambda: [ENTRY], lambda _: "sha256:1", 300)
    assert checker.violations == []


@pytest.mark.parametrize("found", [None, "sha256:2"], ids=["nothing", "something else"])
def test_never_a_digest_that_is_not_in_the_bucket(found: str | None) -> None:
    checker = Judge(60)
    checker.served("one", lambda: [ENTRY], lambda _: found, 1)
    assert len(checker.violations) == 1


def test_a_voice_that_leaves_the_list_with_its_artifacts_is_no_violation() -> None:
    checker, answers = Judge(60), iter([[ENTRY], []])
    checker.served("one", lambda: next(answers), lambda _: None, 1)
    assert checker.violations == []


def test_a_deleted_voice_may_lose_its_artifacts_before_it_leaves_the_list() -> None:
    checker = Judge(60)
    checker.voice_deleted(voice(revoked=False), 100)
    checker.served("one", lambda: [ENTRY], lambda _: None, 101)
    assert checker.violations == []


@pytest.mark.parametrize("text", ["not JSON", "{}", "[]", '{"voices": 3}', '{"voices": [3]}'])
def test_a_broken_list_lists_nobody(text: str) -> None:
    assert entries_of(text) == []


# Snapshots and results


def test_differences_name_the_field() -> None:
    expected, found = {"a": [{"b": 1}], "c": 2}, {"a": [{"b": 3}], "c": 2}
    assert differences(expected, found) == [".a[0].b: expected 1, found 3"]
    assert differences(expected, expected) == []


def test_a_tests_name_is_a_sentence() -> None:
    assert (
        sentence("test_every_write_fails_once[cut after its effect]") == "every write fails once: cut after its effect"
    )
