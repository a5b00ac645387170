"""Attacks that are not answered yet (docs/attacks.md): each test says what must be, and fails until it is."""

import socket
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from tests.security.installation import TEAM_A, Installation, SpeechServer
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.security, pytest.mark.slow, pytest.mark.usefixtures("speech")]


@pytest.mark.xfail(reason="a revoked voice's files stay in the store until the voice is deleted", strict=False)
def test_a_revoked_voice_leaves_no_files(installation: Installation) -> None:
    installation.train(TEAM_A, "remains")
    ada = installation.person("ada", TEAM_A)
    ada.patch("voicemodels", "remains", {"spec": {"consent": {"revoked": True}}})
    wait_for("the voice to leave the list", lambda: f"{TEAM_A}/remains" not in installation.listed())
    wait_for("the files' end", lambda: not installation.bucket.files(f"{TEAM_A}/remains"), seconds=10)


def test_a_deleted_voice_leaves_no_files(installation: Installation) -> None:
    installation.train(TEAM_A, "erased")
    assert installation.bucket.files(f"{TEAM_A}/erased")
    installation.person("ada", TEAM_A).delete("voicemodels", "erased")
    wait_for("the files' end", lambda: not installation.bucket.files(f"{TEAM_A}/erased"))


@pytest.mark.xfail(reason="a speech server has no shares for its callers", strict=False)
def test_one_caller_leaves_room_for_another(speech: SpeechServer, alice: str) -> None:
    speech.wait("alice", lambda: speech.speak(f"{TEAM_A}/alice").status_code == 200)
    body = {"input": "The server reads this sentence aloud. " * 107, "voice": f"{TEAM_A}/alice", "seed": 1}

    def ask(_: int) -> None:
        try:
            httpx.post(f"http://127.0.0.1:{speech.port}/v1/audio/speech", json=body, timeout=6)
        except httpx.TimeoutException:
            return

    with ThreadPoolExecutor(20) as pool:
        floods = [pool.submit(ask, number) for number in range(20)]
        time.sleep(2)
        answer = speech.speak(f"{TEAM_A}/alice")
        for flood in floods:
            flood.result()
    assert answer.status_code == 200, answer.text


def test_a_caller_that_says_nothing_is_sent_away(speech: SpeechServer) -> None:
    with socket.create_connection(("127.0.0.1", speech.port)) as caller:
        caller.sendall(b"POST /v1/audio/speech HTTP/1.1\r\nHost: x\r\n")
        caller.settimeout(30)
        assert caller.recv(4096).startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        assert caller.recv(1) == b""
