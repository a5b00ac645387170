"""Connections that are slow on purpose end, and do no harm to others: a real server, and sockets of our own."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest
from dev.ports import free_port
from tests.support.waiting import wait_for
from websockets.sync.client import connect as connect_socket

REQUEST_SECONDS = 2.0
CONNECTIONS = 12
HEAD = b"POST /v1/audio/speech HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A server without voices that loses its patience soon."""
    folder, port = tmp_path_factory.mktemp("server"), free_port()
    flags = {
        "voices": folder / "voices.json",
        "cache": folder / "cache",
        "port": port,
        "host": "127.0.0.1",
        "request-seconds": REQUEST_SECONDS,
        "max-connections": CONNECTIONS,
    }
    command = [sys.executable, "-m", "voice_inference", "serve"]
    command += [f"--{name}={value}" for name, value in flags.items()]
    log = folder / "log"
    with log.open("wb") as stderr, subprocess.Popen(command, stderr=stderr) as server:
        try:
            wait_for("the server", lambda: _is_well(port), 60)
            yield port
        finally:
            server.terminate()
    assert "Traceback" not in log.read_text()


def _is_well(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def connect(port: int, data: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    connection.sendall(data)
    return connection


def answer_of(connection: socket.socket) -> bytes:
    """Everything that comes before the server closes."""
    data = b""
    while part := connection.recv(65536):
        data += part
    return data


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(HEAD, id="half a header"),
        pytest.param(HEAD + b"Content-Length: 100\r\n\r\n{", id="half a body"),
    ],
)
def test_a_request_that_never_ends_is_answered_with_408(port: int, data: bytes) -> None:
    started = time.monotonic()
    with connect(port, data) as connection:
        answer = answer_of(connection)
    assert answer.startswith(b"HTTP/1.1 ")
    assert b"HTTP/1.1 408 Request Timeout\r\n" in answer
    assert time.monotonic() - started < 20


def test_half_of_a_second_request_holds_the_connection_no_longer_than_nothing(port: int) -> None:
    started = time.monotonic()
    with connect(port, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /he") as connection:
        assert answer_of(connection).startswith(b"HTTP/1.1 200 OK\r\n")
    assert time.monotonic() - started < 20


def test_a_body_that_never_comes_is_late_behind_another_request_too(port: int) -> None:
    late = b"POST /tts HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
    with connect(port, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" + late) as connection:
        answer = answer_of(connection)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"HTTP/1.1 408 Request Timeout\r\n" in answer


def test_a_request_that_comes_in_drops_is_late_all_the_same(port: int) -> None:
    with connect(port, HEAD) as connection:
        started = time.monotonic()
        try:
            while time.monotonic() - started < 25:
                connection.sendall(b"X-More: and more\r\n")
                time.sleep(0.2)
        except OSError:
            pass
        assert time.monotonic() - started < 20


def test_a_slow_request_that_arrives_in_time_is_answered(port: int) -> None:
    with connect(port, b"GET /healthz HTTP/1.1\r\n") as connection:
        time.sleep(REQUEST_SECONDS / 5)
        connection.sendall(b"Host: x\r\nConnection: close\r\n\r\n")
        assert answer_of(connection).startswith(b"HTTP/1.1 200 ")


def test_a_kept_connection_may_ask_again_later(port: int) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        for _ in range(3):
            assert client.get("/healthz").status_code == 200
            time.sleep(REQUEST_SECONDS * 0.6)


def test_a_socket_may_stay_open_longer_than_a_request_may_take(port: int) -> None:
    with connect_socket(f"ws://127.0.0.1:{port}/v1/audio/speech/stream") as stream:
        time.sleep(REQUEST_SECONDS * 1.5)
        stream.send(json.dumps({"type": "session.config", "voice": "studio/nobody"}))
        assert "studio/nobody" in str(stream.recv(20))


def test_more_connections_than_there_may_be_are_closed_at_once_and_others_are_answered(port: int) -> None:
    held = [connect(port, HEAD) for _ in range(CONNECTIONS * 3)]
    closed = 0
    for connection in held[CONNECTIONS:]:
        connection.settimeout(0.3)
        try:
            closed += connection.recv(1) == b""
        except ConnectionError:
            closed += 1
        except TimeoutError:
            pass
    assert closed >= CONNECTIONS
    wait_for("the patience to end", lambda: _is_well(port), 10)
    for connection in held:
        connection.close()


def test_one_address_cannot_take_the_places_of_all(port: int) -> None:
    others = ("127.0.0.2", 0)
    held = [socket.create_connection(("127.0.0.1", port), 20, others) for _ in range(CONNECTIONS * 3)]
    assert _is_well(port), "while the other one's connections are still waited for"
    for connection in held:
        connection.close()
