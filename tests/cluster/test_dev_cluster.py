"""The development cluster keeps its promise: it starts twice without harm, and leaves nothing behind."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.cluster
REPOSITORY = Path(__file__).resolve().parents[2]
BESIDE = ["--only", "control-plane", "--port-offset", "2000"]


def dev_cluster(command: str, state: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dev.cluster", command, "--state", str(state), *flags],
        cwd=REPOSITORY,
        check=False,
        capture_output=True,
        text=True,
    )


def processes_that_name(folder: Path) -> list[str]:
    """Command lines of everything that still runs and was told about the folder."""
    found = []
    for line in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = line.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it ended while we looked
            continue
        if str(folder) in command:
            found.append(command)
    return found


def test_up_is_repeatable_and_down_leaves_nothing(tmp_path: Path, tool: Callable[[str], Path]) -> None:
    state = tmp_path / "state"
    try:
        assert dev_cluster("up", state, *BESIDE).returncode == 0
        running = sorted(processes_that_name(state))
        assert len(running) >= 3, "etcd, the API server and the controllers"
        again = dev_cluster("up", state, *BESIDE)
        assert again.returncode == 0, again.stderr
        assert sorted(processes_that_name(state)) == running, "a second up restarts nothing"
        kubectl = [str(tool("kubectl")), "--kubeconfig", str(state / "admin.kubeconfig")]
        ready = subprocess.run([*kubectl, "get", "--raw", "/readyz"], check=True, capture_output=True, text=True)
        assert ready.stdout == "ok"
    finally:
        stopped = dev_cluster("down", state)
    assert stopped.returncode == 0, stopped.stderr
    assert processes_that_name(state) == []
    assert not state.exists()


def test_down_without_a_cluster_is_no_error(tmp_path: Path) -> None:
    assert dev_cluster("down", tmp_path / "never").returncode == 0


def test_status_without_a_cluster_names_the_remedy(tmp_path: Path) -> None:
    answer = dev_cluster("status", tmp_path / "never")
    assert answer.returncode != 0
    assert "dev.cluster up" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_an_unknown_tool_is_answered_with_the_known_ones() -> None:
    command = [sys.executable, "-m", "dev.tool", "no-such-program"]
    answer = subprocess.run(command, cwd=REPOSITORY, check=False, capture_output=True, text=True)
    assert answer.returncode != 0
    assert "helm" in answer.stderr
