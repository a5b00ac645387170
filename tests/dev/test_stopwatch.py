"""The seconds of a run's phases, for people and for programs."""

import json
from pathlib import Path

import pytest
from dev.stopwatch import Stopwatch


def test_phases_may_overlap_and_stand_in_the_order_in_which_they_began(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    watch = Stopwatch()
    with watch.step("images", "images"), watch.step("cluster"):
        pass
    watch.note("earlier", begun=-1.0, seconds=2.25)
    watch.write(tmp_path / "timings.json")
    written = json.loads((tmp_path / "timings.json").read_text())
    assert list(written["phases"]) == ["earlier", "images", "cluster"]
    assert written["phases"]["earlier"] == {"began": -1.0, "seconds": 2.2}
    assert written["total"] >= 0
    watch.print()
    shown = capsys.readouterr().err
    assert "==> images" in shown
    assert "==> cluster" not in shown
    assert shown.index("earlier") < shown.index("cluster")


def test_a_phase_that_fails_has_no_seconds() -> None:
    watch = Stopwatch()
    with pytest.raises(ValueError, match="broken"), watch.step("chart"):
        raise ValueError("broken")
    assert watch.seconds == {}
