"""One replica of the operator behind a proxy of its own; when it ends or is not healthy, it is started again."""

import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from dev.operator_process import OperatorProcess
from dev.ports import free_port
from tests.faults.api_proxy import ApiProxy
from tests.support.waiting import wait_for

TICK_SECONDS = 0.1
RESTART_SECONDS = 0.5  # a kubelet's first restart comes at once
LIVENESS_SECONDS = 10.0  # as the chart's liveness probe
LIVENESS_FAILURES = 3
STARTUP_SECONDS = 60.0
CLOCK = Path(__file__).with_name("clock")


class Replica:
    """A process, its configuration, its clock and its connection to the API server."""

    def __init__(
        self, name: str, settings: Mapping[str, Any], folder: Path, admin: Path, environment: Mapping[str, str]
    ) -> None:
        self.name = name
        self.starts = 0
        self.folder = folder / name
        self.folder.mkdir()
        self.url = f"http://127.0.0.1:{free_port()}"
        self.proxy = ApiProxy(admin, self.folder)
        self.log = self.folder / "log.txt"
        self._settings = dict(settings)
        self._clock = self.folder / "clock"
        self._clock.write_text("0")
        self._environment = {**environment, "POD_NAME": f"voice-operator-{name}"}  # stays when its container restarts
        self._lock = threading.RLock()
        self._wanted = False
        self._stopped = threading.Event()
        self._supervisor = threading.Thread(target=self._supervise, name=f"supervisor of {name}", daemon=True)
        self.process: OperatorProcess

    def start(self) -> None:
        """Start proxy and process, and wait until it is ready."""
        self.launch()
        self.wait_until_ready()

    def launch(self) -> None:
        """Start proxy and process without waiting."""
        self.proxy.__enter__()
        paths = [str(CLOCK), os.environ.get("PYTHONPATH", "")]
        self._environment |= {"FAULTS_CLOCK": str(self._clock), "PYTHONPATH": os.pathsep.join(filter(None, paths))}
        self.process = OperatorProcess(
            self._write_settings(), self.proxy.kubeconfig, self.log, self.url, self._environment
        )
        self._launch()
        self._supervisor.start()

    def stop(self) -> int:
        """Ask the process to end; return its exit code."""
        with self._lock:
            self._wanted = False
            return self.process.stop() if self.process.is_running() else 0

    def kill(self) -> None:
        """SIGKILL; it is started again, as by a kubelet."""
        with self._lock:
            if self.process.is_running():
                self.process.kill()

    def kill_for_good(self) -> None:
        """SIGKILL; its node is gone as well."""
        with self._lock:
            self._wanted = False
            self.kill()

    def revive(self) -> None:
        """Start it again after it was killed for good."""
        with self._lock:
            self._launch()

    def restart(self, **settings: Any) -> None:
        """End the process and start it again with other settings, as `helm upgrade` does."""
        assert self.stop() == 0, self.log.read_text()[-2000:]
        self._settings |= settings
        self._write_settings()
        with self._lock:
            self._launch()
        self.wait_until_ready()

    def set_clock(self, seconds: float) -> None:
        """Let the process believe that it is ``seconds`` later than it is."""
        replacement = self._clock.with_suffix(".new")
        replacement.write_text(str(seconds))
        replacement.replace(self._clock)

    def wait_until_ready(self) -> None:
        wait_for(f"the replica {self.name} to be ready", self.process.is_ready, seconds=STARTUP_SECONDS)

    def close(self) -> int:
        """Stop all; return the exit code of the process."""
        self._stopped.set()
        self._supervisor.join(timeout=30)
        try:
            return self.stop()
        finally:
            self.proxy.__exit__()

    def _write_settings(self) -> Path:
        path = self.folder / "config.yaml"
        path.write_text(yaml.safe_dump(self._settings | {"listen": self.url.removeprefix("http://")}))
        return path

    def _launch(self) -> None:
        self._wanted = True
        self.starts += 1
        self.process.launch()

    def _supervise(self) -> None:
        failures, started, probed = 0, time.monotonic(), time.monotonic()
        while not self._stopped.wait(TICK_SECONDS):
            with self._lock:
                if self._wanted and not self.process.is_running():
                    self._stopped.wait(RESTART_SECONDS)
                    self._launch()
                    failures, started = 0, time.monotonic()
            if time.monotonic() - probed > LIVENESS_SECONDS and time.monotonic() - started > STARTUP_SECONDS:
                probed = time.monotonic()
                failures = 0 if self.process.answers("/healthz", timeout=3) else failures + 1
                if failures >= LIVENESS_FAILURES:
                    self.kill()
