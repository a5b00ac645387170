"""A speech server of this machine, for as long as it is measured."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from dev.errors import DevError

START_SECONDS = 120


@dataclass(frozen=True)
class Server:
    """Where it answers, and its process."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def memory(self) -> float:
        """What it has in memory now, in MiB."""
        return self._status("VmRSS")

    @property
    def peak(self) -> float:
        """The most that it has had, in MiB."""
        return self._status("VmHWM")

    def _status(self, name: str) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return int(re.findall(rf"{name}:\s+(\d+) kB", status)[0]) / 1024


@contextmanager
def serving(voices: Mapping[str, Any], work: Path, *flags: str) -> Iterator[Server]:
    """Serve the voices of a document, which lies in the folder as voices.json, on a free port of this machine.

    Raises:
        DevError: it does not get ready.
    """
    work.mkdir(parents=True, exist_ok=True)
    desired, log = work / "voices.json", work / "server.log"
    desired.write_text(json.dumps(voices), encoding="utf-8")
    command = [sys.executable, "-m", "voice_inference", "serve", "--host", "127.0.0.1", "--port", "0"]
    command += ["--voices", str(desired), "--cache", str(work / "cache"), *flags]
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output, env=os.environ) as process:
        try:
            yield Server(_ready(process, log), process, log)
        finally:
            process.terminate()


def _ready(process: subprocess.Popen[bytes], log: Path) -> str:
    """Return the server's address once it is ready."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        found = re.search(r"running on (http://\S+)", log.read_text(encoding="utf-8"))
        try:
            if found and httpx.get(f"{found[1]}/readyz").status_code == httpx.codes.OK:
                return found[1]
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise DevError(f"the server does not get ready; its log is {log}", remedy="read the log")
