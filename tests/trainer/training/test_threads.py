"""Threads: one core is left to the others, and a container's limit counts."""

from pathlib import Path

import pytest

from voice_trainer.training.threads import usable_threads, visible_cores


@pytest.mark.parametrize(
    ("cores", "limit", "threads"),
    [
        pytest.param(1, "max 100000", 1, id="a single core"),
        pytest.param(2, "max 100000", 1, id="one is left to the others"),
        pytest.param(16, "max 100000", 15, id="no limit"),
        pytest.param(64, "400000 100000", 4, id="a pod with four cores of a large machine"),
        pytest.param(64, "50000 100000", 1, id="a pod with half a core"),
        pytest.param(4, "nonsense", 3, id="an unreadable limit"),
        pytest.param(4, "100000 0", 3, id="an impossible limit"),
    ],
)
def test_how_many_threads(tmp_path: Path, cores: int, limit: str, threads: int) -> None:
    (tmp_path / "cpu.max").write_text(limit + "\n")
    assert usable_threads(cores, tmp_path / "cpu.max") == threads


def test_outside_a_container_the_cores_decide(tmp_path: Path) -> None:
    assert usable_threads(visible_cores() + 1, tmp_path / "missing") == visible_cores()
