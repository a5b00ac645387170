"""The API server through kubectl, because a user would type the same."""

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dev.errors import DevError
from dev.terminal import run

Manifest = dict[str, Any]


class Kubectl:
    """kubectl with one kubeconfig."""

    def __init__(self, kubeconfig: Path) -> None:
        self.environment = {"KUBECONFIG": str(kubeconfig)}

    def __call__(self, *arguments: str, stdin: str | None = None) -> str:
        """Run one command and return its standard output."""
        return run(["kubectl", *arguments], env=self.environment, stdin=stdin)

    def apply(self, manifest: Manifest) -> None:
        """Create or change one object."""
        self("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=json.dumps(manifest))

    def get(self, kind: str, name: str, namespace: str) -> Manifest:
        """Read one object; one that does not exist is an error."""
        found: Manifest = json.loads(self("get", kind, name, "-n", namespace, "-o", "json"))
        return found

    def list(self, kind: str, namespace: str, selector: str = "") -> list[Manifest]:
        """Read all objects of a kind in a namespace."""
        chosen = ["-l", selector] if selector else []
        found: list[Manifest] = json.loads(self("get", kind, "-n", namespace, *chosen, "-o", "json"))["items"]
        return found

    @contextmanager
    def forward(self, service: str, namespace: str, port: int, *, patience: float = 30) -> Iterator[str]:
        """Open a tunnel to a Service and give its address on this machine, `http://127.0.0.1:<port>`."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            local = probe.getsockname()[1]
        with subprocess.Popen(
            ["kubectl", "port-forward", "-n", namespace, f"service/{service}", f"{local}:{port}"],
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        ) as tunnel:
            try:
                _wait_until_open(tunnel, local, patience)
                yield f"http://127.0.0.1:{local}"
            finally:
                tunnel.terminate()


def _wait_until_open(tunnel: "subprocess.Popen[str]", port: int, patience: float) -> None:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if tunnel.poll() is not None:
            output = tunnel.stderr.read().strip() if tunnel.stderr else ""
            raise DevError(
                f"kubectl port-forward ended: {output}", remedy="look at the Service's pods: kubectl get pods -A"
            )
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise DevError(f"kubectl port-forward was not ready after {patience:.0f} s", remedy="try again")
