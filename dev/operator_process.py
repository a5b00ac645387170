"""The operator as a process of its own, beside any control plane: for tests, and for its benchmark."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from dev.errors import DevError
from dev.terminal import tail

READY_SECONDS = 60
STOP_SECONDS = 30
RETRY_SECONDS = 0.1
BUG = "bug in the operator"  # what its log says before a traceback
BUG_CHARACTERS = 4000


class OperatorProcess:
    """One replica: started, asked, stopped and killed by its id."""

    def __init__(
        self,
        config: Path,
        kubeconfig: Path,
        log: Path,
        url: str,
        environment: Mapping[str, str] | None = None,
        *,
        flags: Sequence[str] = (),
    ) -> None:
        self.config = config
        self.log = log
        self.url = url
        self.process: subprocess.Popen[bytes] | None = None
        self._flags = flags
        self._environment = {
            **os.environ,
            "KUBECONFIG": str(kubeconfig),
            "PYTHONUNBUFFERED": "1",
            **(environment or {}),
        }

    def start(self) -> None:
        """Start it, and wait until ``/readyz`` says yes.

        Raises:
            DevError: it ended, or is not ready after READY_SECONDS; the message has the end of its log.
        """
        self.launch()
        deadline = time.monotonic() + READY_SECONDS
        while not self.is_ready():
            if not self.is_running():
                raise DevError(f"the operator ended while it started; the end of {self.log}:\n{tail(self.log)}")
            if time.monotonic() > deadline:
                raise DevError(f"the operator is not ready after {READY_SECONDS} s; {self.log}:\n{tail(self.log)}")
            time.sleep(RETRY_SECONDS)

    def launch(self) -> None:
        """Start it without waiting."""
        command = [sys.executable, "-m", "voice_operator", "run", "--config", str(self.config), *self._flags]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env=self._environment, stdout=log, stderr=log)

    def stop(self) -> int:
        """Ask it to end; return its exit code.

        Raises:
            DevError: it still runs after STOP_SECONDS, and was killed.
        """
        process = self._started()
        process.terminate()
        try:
            return process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise DevError(f"the operator did not end within {STOP_SECONDS} s; {self.log}:\n{tail(self.log)}") from None

    def kill(self) -> None:
        """SIGKILL: nothing is finished, nothing is handed over."""
        process = self._started()
        process.send_signal(signal.SIGKILL)
        process.wait()

    def is_running(self) -> bool:
        """Whether the process has not ended."""
        return self._started().poll() is None

    def is_ready(self) -> bool:
        """Whether ``/readyz`` says yes."""
        return self.answers("/readyz")

    def answers(self, path: str, timeout: float = 5) -> bool:
        """Whether a page of its endpoint answers with 200 within ``timeout`` seconds."""
        try:
            with urllib.request.urlopen(f"{self.url}{path}", timeout=timeout):
                return True
        except (urllib.error.URLError, OSError):
            return False

    def metrics(self) -> list[Sample]:
        """Every sample of ``/metrics``."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=5) as answer:
            families = text_string_to_metric_families(answer.read().decode())
            return [sample for family in families for sample in family.samples]

    def metric(self, name: str, /, **labels: str) -> float:
        """The sum of all series of a metric that have these labels.

        Raises:
            DevError: there is none.
        """
        found = [s.value for s in self.metrics() if s.name == name and labels.items() <= s.labels.items()]
        if not found:
            raise DevError(f"the operator has no series {name} with {labels}")
        return sum(found)

    def bug(self) -> str:
        """What its log says of the first error that nobody expected; empty: there was none."""
        found = self.log.read_text(errors="replace").partition(BUG)
        return "".join(found[1:])[:BUG_CHARACTERS]

    def _started(self) -> subprocess.Popen[bytes]:
        if self.process is None:
            raise DevError("the operator was never started")
        return self.process
