"""Callers that ask too much, or nothing at all, at a real speech server: others are answered."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from tests.security.installation import TEAM_A
from tests.support.speech_server import SpeechServer

pytestmark = [pytest.mark.cluster, pytest.mark.security, pytest.mark.slow, pytest.mark.usefixtures("speech")]


def test_one_caller_leaves_room_for_another(speech: SpeechServer, alice: str) -> None:
    speech.wait("alice", lambda: speech.speak(f"{TEAM_A}/alice").status_code == 200)
    body = {"input": "The server reads this sentence aloud. " * 107, "voice": f"{TEAM_A}/alice", "seed": 1}

    def ask(_: int) -> None:
        try:
            httpx.post(f"http://127.0.0.1:{speech.port}/v1/audio/speech", json=body, timeout=6)
        except httpx.TimeoutException:
            return

    elsewhere = httpx.HTTPTransport(local_address="127.0.0.2")
    with (
        ThreadPoolExecutor(20) as pool,
        httpx.Client(base_url=f"http://127.0.0.1:{speech.port}", transport=elsewhere, timeout=60) as other,
    ):
        floods = [pool.submit(ask, number) for number in range(20)]
        time.sleep(2)
        answer = other.post("/v1/audio/speech", json={"input": "Hello there.", "voice": f"{TEAM_A}/alice"})
        for flood in floods:
            flood.result()
    assert answer.status_code == 200, answer.text


def test_a_caller_that_says_nothing_is_sent_away(speech: SpeechServer) -> None:
    with socket.create_connection(("127.0.0.1", speech.port)) as caller:
        caller.sendall(b"POST /v1/audio/speech HTTP/1.1\r\nHost: x\r\n")
        caller.settimeout(30)
        assert caller.recv(4096).startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        assert caller.recv(1) == b""
