"""The server as a process of its own: it streams, notices callers that hang up, and leaves in good order."""

import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.inference.conftest import Process, StartProcess
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed
from websockets.protocol import State
from websockets.sync.client import ClientConnection, connect
from websockets.uri import parse_uri

TIMEOUT_SECONDS = 120.0  # the machine may be busy
LONG = "The server reads this sentence aloud. " * 100


def request(text: str, response_format: str) -> dict[str, Any]:
    return {"input": text, "voice": "studio/alice", "seed": 1, "response_format": response_format}


def test_pcm_arrives_while_it_is_spoken_and_sigterm_lets_it_finish(
    make_bundle: Any, desired: Any, start_process: StartProcess
) -> None:
    desired.write(make_bundle().seal())
    text = "One sentence. Another sentence. The last sentence."
    with start_process("--grace-seconds", f"{TIMEOUT_SECONDS:.0f}") as process:
        whole = process.client.post("/v1/audio/speech", json=request(text, "pcm")).content
        with process.client.stream("POST", "/v1/audio/speech", json=request(text, "pcm")) as answer:
            chunks = answer.iter_raw()
            received = next(chunks)
            assert len(received) < len(whole)
            process.popen.send_signal(signal.SIGTERM)
            received += b"".join(chunks)
        assert received == whole
        assert process.popen.wait(TIMEOUT_SECONDS) == -signal.SIGTERM


def test_sigterm_lets_a_socket_finish_its_sentence(make_bundle: Any, desired: Any, start_process: StartProcess) -> None:
    desired.write(make_bundle().seal())
    config = {"type": "session.config", "voice": "studio/alice", "response_format": "pcm", "seed": 1}
    text = "The server reads this sentence aloud, and it takes its time for every word of it. It reads this one never. "
    with start_process("--grace-seconds", f"{TIMEOUT_SECONDS:.0f}") as process:
        host, port = process.client.base_url.host, process.client.base_url.port
        url = f"ws://{host}:{port}/v1/audio/speech/stream"
        with connect(url) as writing, connect(url) as waiting:
            for socket_, messages in ((writing, (config, {"type": "input.text", "text": text})), (waiting, (config,))):
                for message in messages:
                    socket_.send(json.dumps(message))
                assert "session.created" in str(socket_.recv(TIMEOUT_SECONDS))
            assert "audio.start" in str(writing.recv(TIMEOUT_SECONDS))
            first = writing.recv(TIMEOUT_SECONDS)
            process.popen.send_signal(signal.SIGTERM)
            *rest, done = until_closed(writing)
            assert isinstance(first, bytes)
            assert all(isinstance(part, bytes) for part in rest)
            assert json.loads(done) == {"type": "audio.done", "sentence_index": 0}
            assert until_closed(waiting) == []
            assert (writing.close_code, waiting.close_code) == (1012, 1012)
        assert process.popen.wait(TIMEOUT_SECONDS) == -signal.SIGTERM


def until_closed(stream: ClientConnection) -> list[Any]:
    """What comes before the server closes."""
    messages: list[Any] = []
    with contextlib.suppress(ConnectionClosed):
        while True:
            messages.append(stream.recv(TIMEOUT_SECONDS))
    return messages


def listen_for_a_moment(client: httpx.Client, body: dict[str, Any]) -> None:
    with client.stream("POST", "/v1/audio/speech", json=body, timeout=1) as answer:
        next(answer.iter_raw())


@pytest.mark.parametrize("response_format", ["pcm", "wav"])
def test_a_caller_that_hangs_up_frees_the_worker(
    make_bundle: Any, desired: Any, start_process: StartProcess, response_format: str
) -> None:
    desired.write(make_bundle().seal())
    with start_process() as process:
        with contextlib.suppress(httpx.ReadTimeout):
            listen_for_a_moment(process.client, request(LONG, response_format))
        process.until(lambda: process.number("voice_inference_speech_requests_in_progress") == 0)
        assert process.number("voice_inference_audio_seconds_total") < len(LONG) / 30
        assert process.client.post("/v1/audio/speech", json=request("Hello.", "wav")).status_code == 200


def test_a_server_writes_nowhere_but_into_its_cache(
    make_bundle: Any, desired: Any, start_process: StartProcess, tmp_path: Path
) -> None:
    desired.write(make_bundle().seal())
    before = {path.name for path in tmp_path.iterdir()}
    with start_process() as process:
        assert process.client.post("/v1/audio/speech", json=request("Hello.", "wav")).status_code == 200
    assert {path.name for path in tmp_path.iterdir()} - before == {"cache", "server.log"}


def test_the_server_never_imports_torch() -> None:
    """Torch would be two gigabytes of image, and seconds of every start."""
    code = "import sys, voice_inference.__main__; print('torch' in sys.modules or 'transformers' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@contextlib.contextmanager
def a_slow_reader(process: Process) -> Iterator[socket.socket]:
    """A connection that takes little: neither of its ends keeps more than some ten thousand bytes."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)  # by which the other one has its buffer
        connection.connect((process.client.base_url.host, process.client.base_url.port))
        yield connection


def test_a_client_that_never_reads_is_left(make_bundle: Any, desired: Any, start_process: StartProcess) -> None:
    desired.write(make_bundle().seal())
    body = json.dumps(request(LONG, "pcm")).encode()
    head = f"POST /v1/audio/speech HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with start_process("--write-seconds", "1") as process, a_slow_reader(process) as connection:
        connection.sendall(head + body)
        process.until(lambda: process.number("voice_inference_speech_requests_in_progress") == 1)
        process.until(lambda: process.number("voice_inference_speech_requests_in_progress") == 0)
        assert process.number("voice_inference_audio_seconds_total") < 30


def test_a_client_that_reads_slowly_gets_the_whole_file(
    make_bundle: Any, desired: Any, start_process: StartProcess
) -> None:
    desired.write(make_bundle().seal())
    body = json.dumps(request("The server reads this sentence aloud. " * 15, "wav")).encode()
    head = f"POST /v1/audio/speech HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with start_process("--write-seconds", "1") as process, a_slow_reader(process) as connection:
        connection.sendall(head + body)
        connection.settimeout(TIMEOUT_SECONDS)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += connection.recv(1)
        found = re.search(rb"content-length: (\d+)", answer)
        assert found
        size, began, got = int(found[1]), time.monotonic(), 0
        while got < size and (part := connection.recv(4096)):
            got += len(part)
            time.sleep(max(0.0, began + 4 * got / size - time.monotonic()))
    assert (got, size > 500_000) == (size, True)


def test_a_client_of_the_socket_that_never_reads_is_left(
    make_bundle: Any, desired: Any, start_process: StartProcess
) -> None:
    """It answers no ping either, but a connection that is closed in peace waits for what was written."""
    desired.write(make_bundle().seal())
    config = {"type": "session.config", "voice": "studio/alice", "response_format": "pcm"}
    messages = (config, {"type": "input.text", "text": LONG}, {"type": "input.done"})
    ended = 'voice_inference_http_requests_total{route="/v1/audio/speech/stream",status="101"} 1.0'
    with start_process("--write-seconds", "1") as process, a_slow_reader(process) as connection:
        client = ClientProtocol(parse_uri(f"ws://{process.client.base_url.host}/v1/audio/speech/stream"))
        client.send_request(client.connect())
        connection.sendall(b"".join(client.data_to_send()))
        while client.state is not State.OPEN:
            client.receive_data(connection.recv(1024))
        for message in messages:
            client.send_text(json.dumps(message).encode())
        connection.sendall(b"".join(client.data_to_send()))
        process.until(lambda: ended in process.client.get("/metrics").text)
        process.until(lambda: process.number("voice_inference_speech_requests_in_progress") == 0)
        assert process.number("voice_inference_audio_seconds_total") < 30
