"""Threads: one CPU is left to other processes, and a container's quota counts."""

from pathlib import Path

import pytest

from voice_trainer.training.threads import compute_threads


@pytest.mark.parametrize(
    ("cpus", "quota", "threads"),
    [
        pytest.param(1, "max 100000", 1, id="a single CPU"),
        pytest.param(2, "max 100000", 1, id="one is left to others"),
        pytest.param(16, "max 100000", 15, id="no quota"),
        pytest.param(64, "400000 100000", 4, id="a pod with four CPUs of a large machine"),
        pytest.param(64, "150000 100000", 2, id="a fraction is rounded up"),
        pytest.param(64, "50000 100000", 1, id="a pod with half a CPU"),
        pytest.param(4, "nonsense", 3, id="an unreadable quota"),
    ],
)
def test_how_many_threads(tmp_path: Path, cpus: int, quota: str, threads: int) -> None:
    (tmp_path / "cpu.max").write_text(quota + "\n")
    assert compute_threads(tmp_path / "cpu.max", bound=cpus) == threads
