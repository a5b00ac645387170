"""The whole cluster, for tests that need pods: taken as it is when it runs, else started and stopped again."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Demo:
    """The cluster with the chart installed, and what the demonstration made there."""

    out: Path
    dataset: Path
    result: dict[str, object]
    cluster: Kubectl


def run_demo(out: Path, voice: Path) -> dict[str, object]:
    """Run `make demo` with a voice of two epochs; return its result.json."""
    command = [sys.executable, "-m", "dev.demo", "--voice", str(voice), "--out", str(out), "--epochs", "2"]
    subprocess.run(command, cwd=REPOSITORY, check=True, env={**os.environ, "PYTHONPATH": str(REPOSITORY)})
    answer: dict[str, object] = json.loads((out / "result.json").read_text(encoding="utf-8"))
    return answer


@pytest.fixture(scope="session")
def demo(cluster: Kubectl, spoken_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Demo:
    out = tmp_path_factory.mktemp("demo")
    dataset = tmp_path_factory.mktemp("voices") / "flite-slt"
    shutil.copytree(spoken_dataset, dataset)
    return Demo(out, dataset, run_demo(out, dataset), cluster)
