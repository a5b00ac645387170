"""CPUs: the control group's quota counts, rounded up, and never more than the process is bound to."""

from pathlib import Path

import pytest

from sovits_core.cpus import usable_cpus


@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        pytest.param("max 100000", 8, id="no quota"),
        pytest.param("150000 100000", 2, id="a fraction counts as a whole CPU"),
        pytest.param("50000 100000", 1, id="never none"),
        pytest.param("6400000 100000", 8, id="never more than the process is bound to"),
        pytest.param("nonsense", 8, id="an unreadable quota is none"),
    ],
)
def test_usable_cpus(quota: str, expected: int, tmp_path: Path) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(quota)
    assert usable_cpus(file, bound=8) == expected


def test_without_control_groups_the_bound_counts(tmp_path: Path) -> None:
    assert usable_cpus(tmp_path / "missing", bound=3) == 3
