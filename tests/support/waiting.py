"""Waiting for a state that somebody else brings about."""

import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

RETRY_SECONDS = 0.2


def wait_for(what: str, poll: Callable[[], Any], seconds: float = 30) -> Any:
    """Return the first true answer of ``poll``."""
    deadline = time.monotonic() + seconds
    while not (answer := poll()):
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(RETRY_SECONDS)
    return answer


def wait_for_port(port: int, server: subprocess.Popen[bytes], log: Path, seconds: float = 60) -> None:
    """Return when the server listens; a server that ends first fails the test with its log."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=2).close()
        except OSError:
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        else:
            return
