"""What tests share: the reference data beside the project, the pinned tools, and real control planes."""

import csv
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference data beside the project; CI and developers have it, users do not."""
    folder = Path(os.environ.get("VOICE_OPERATOR_SHARED", REPOSITORY.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no reference data at {folder}")
    return folder


@pytest.fixture(scope="session")
def spoken_dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample sentences spoken by flite: `metadata.csv` and `wavs/`, some 100 seconds of speech."""
    sys.path.insert(0, str(REPOSITORY))
    from dev.demo.recordings import _speak_sample  # noqa: PLC0415 -- dev/ is no installed package

    return _speak_sample(tmp_path_factory.mktemp("spoken") / "sample")


@pytest.fixture(scope="session")
def transcripts(spoken_dataset: Path) -> dict[str, str]:
    with (spoken_dataset / "metadata.csv").open(encoding="utf-8", newline="") as lines:
        return dict(csv.reader(lines, delimiter="|", quoting=csv.QUOTE_NONE))


@pytest.fixture(scope="session")
def tool() -> Callable[[str], Path]:
    """Return the path of a pinned program (helm, kubeconform, kubectl), built on first use."""

    def find(name: str) -> Path:
        command = [sys.executable, "-m", "dev.tool", name]
        found = subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.PIPE, text=True)
        return Path(found.stdout.strip())

    return find


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A real etcd, API server and controller manager of our own; returns an administrator's kubeconfig."""
    state = tmp_path_factory.mktemp("control-plane")
    dev_cluster = [sys.executable, "-m", "dev.cluster"]
    here = ["--state", str(state)]
    try:
        beside = ["--only", "control-plane", "--port-offset", "1000"]
        subprocess.run([*dev_cluster, "up", *here, *beside], cwd=REPOSITORY, check=True)
        yield state / "admin.kubeconfig"
    finally:
        subprocess.run([*dev_cluster, "down", *here], cwd=REPOSITORY, check=True)
