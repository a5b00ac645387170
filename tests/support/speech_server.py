"""A real process of the inference server, asked over HTTP."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
from dev.ports import free_port
from tests.support.voices import Object
from tests.support.waiting import wait_for

SERVER_SECONDS = 120.0  # the machine may be busy


class SpeechServer:
    """A real process of the inference server."""

    def __init__(
        self, folder: Path, environment: Mapping[str, str], port: int = 0, *, paths: Sequence[Path] = ()
    ) -> None:
        """``paths`` come before all others from which it imports."""
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / "log"
        self.environment = dict(environment)
        self.port = port or free_port()
        variables = {"VOICE_CACHE": str(folder / "cache"), "VOICE_HOST": "127.0.0.1", "VOICE_THREADS": "1"}
        variables |= {**environment, "VOICE_PORT": str(self.port)}
        variables["PYTHONPATH"] = os.pathsep.join([*map(str, paths), os.environ.get("PYTHONPATH", "")])
        with self.log.open("wb") as log:
            command = [sys.executable, "-m", "voice_inference", "serve"]
            self.process = subprocess.Popen(command, env=os.environ | variables, stdout=log, stderr=log)
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=SERVER_SECONDS)
        self.wait("the server", self._answers)

    def _answers(self) -> bool:
        try:
            return self.client.get("/healthz").status_code == 200
        except httpx.TransportError:
            return False

    def wait(self, what: str, poll: Any) -> Any:
        """Wait while it runs; a process that ended fails the test with its log."""

        def alive() -> Any:
            assert self.process.poll() is None, self.log.read_text()
            return poll()

        return wait_for(what, alive, SERVER_SECONDS)

    def voices(self) -> dict[str, Object]:
        return {voice["id"]: voice for voice in self.client.get("/v1/voices").json()["data"]}

    def speak(self, voice: str) -> httpx.Response:
        body = {"input": "Hello there.", "voice": voice, "seed": 1, "response_format": "wav"}
        return self.client.post("/v1/audio/speech", json=body)

    def refusal(self, voice: str) -> str:
        """Ask for what must not be spoken, and return the sentence."""
        answer = self.speak(voice)
        assert answer.status_code in {404, 503}, answer.status_code
        return str(answer.json()["error"]["message"])

    def peak_mib(self) -> float:
        """The most memory that the process has had."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024

    def cpu_seconds(self) -> float:
        """The processor time that all its threads have taken."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        self.client.close()
        self.process.terminate()
        self.process.wait(timeout=30)
