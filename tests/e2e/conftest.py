"""The whole cluster, for tests that need pods: taken as it is when it runs, else started and stopped again."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))  # dev/ is no installed package

from dev.demo.kubectl import Kubectl  # noqa: E402


@pytest.fixture(scope="session")
def cluster() -> Iterator[Kubectl]:
    dev_cluster = [sys.executable, "-m", "dev.cluster"]
    was_running = (
        subprocess.run([*dev_cluster, "status"], cwd=REPOSITORY, check=False, capture_output=True).returncode == 0
    )
    subprocess.run([*dev_cluster, "up"], cwd=REPOSITORY, check=True)
    try:
        path = subprocess.run(
            [*dev_cluster, "kubeconfig"], cwd=REPOSITORY, check=True, stdout=subprocess.PIPE, text=True
        ).stdout.strip()
        yield Kubectl(Path(os.environ.get("KUBECONFIG") or path))
    finally:
        if not was_running:
            subprocess.run([*dev_cluster, "down"], cwd=REPOSITORY, check=True)
