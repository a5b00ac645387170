"""What evaluate tells the operator."""

from types import SimpleNamespace
from typing import Any

from voice_trainer.evaluation.scores import Estimate
from voice_trainer.stages.evaluate import Findings, summary_of


def test_a_score_of_a_single_clip_has_no_interval() -> None:
    """Zero would say that it is exact, and any lower score worse."""
    scores = {"pesq": Estimate(3.9, 0.21, 3), "stoi": Estimate(0.91, 0.0, 1)}
    nothing: Any = SimpleNamespace(clip=SimpleNamespace(id="LJ001-0001"))
    found = Findings(nothing, (), nothing, (), scores, scores, (), "default")
    summary = summary_of(found, "cpu")
    assert summary["scores"] == {"pesq": "3.900", "stoi": "0.910"}
    assert summary["intervals"] == {"pesq": "0.210"}
