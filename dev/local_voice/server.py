"""voice-inference as a process of this machine, which serves what the trainer left in a folder."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from dev.errors import DevError
from dev.terminal import say, stop, tail

HOST = "127.0.0.1"
START_SECONDS = 120.0
STOP_SECONDS = 30.0


@dataclass(frozen=True)
class LocalServer:
    """A server that listens on this machine."""

    process: subprocess.Popen[bytes]
    address: str
    log: Path

    def wait_for(self, voice_id: str) -> None:
        """Return once the voice can speak.

        Raises:
            DevError: the server ended, cannot load the voice, or took too long.
        """
        deadline = time.monotonic() + START_SECONDS
        while (found := self._state(voice_id)) != "ready":
            if self.process.poll() is not None:
                raise self.ended()
            if time.monotonic() > deadline:
                raise DevError(
                    f"the server has not loaded {voice_id} after {START_SECONDS:.0f} s: {found}",
                    remedy=f"see {self.log}",
                )
            time.sleep(0.2)

    def serve(self) -> None:
        """Return when the server ends; Ctrl-C is for the caller to catch.

        Raises:
            DevError: it ended by itself.
        """
        self.process.wait()
        raise self.ended()

    def ended(self) -> DevError:
        """The error for a server that ended by itself."""
        return DevError(
            f"the server ended with {self.process.returncode}; the end of {self.log}:\n{tail(self.log)}",
            remedy=f"see {self.log}",
        )

    def _state(self, voice_id: str) -> str:
        try:
            listed = httpx.get(f"{self.address}/v1/voices", timeout=5, trust_env=False).json()["data"]
        except httpx.HTTPError:
            return "starting"
        entry: dict[str, Any] = next((entry for entry in listed if entry["id"] == voice_id), {"state": "not listed"})
        if entry["state"] == "failed":
            raise DevError(f"the server cannot load {voice_id}: {entry['error']}", remedy=f"see {self.log}")
        return str(entry["state"])


@contextmanager
def local_server(registry: Path, port: int) -> Iterator[LocalServer]:
    """Start a server for the voices of a folder, and stop it at the end.

    Args:
        registry: the folder; the server's log is written beside its list of voices.
        port: where to listen; another free port where this one is taken.
    """
    log, port = registry / "server.log", free_port(port)
    with (
        log.open("wb") as output,
        # A session of its own: Ctrl-C reaches this process alone, which then stops the server.
        subprocess.Popen(
            [sys.executable, "-m", "voice_inference", "serve", str(registry), "--port", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        try:
            yield LocalServer(process, f"http://{HOST}:{port}", log)
        finally:
            stop(process, STOP_SECONDS)


def free_port(wanted: int) -> int:
    """Return the port if nothing listens there, else a free one, and say so."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            found = int(probe.getsockname()[1])
        if found != wanted:
            say(f"    port {wanted} is taken, so the server listens on {found} (PORT={found} asks for one)")
        return found
    raise DevError("this machine has no free port", remedy="stop a program that listens (ss -ltn)")
