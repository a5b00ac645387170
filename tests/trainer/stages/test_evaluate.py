"""What evaluate tells the operator, and when it speaks more."""

from types import SimpleNamespace
from typing import Any

import pytest

from voice_trainer.evaluation.estimates import Estimate
from voice_trainer.evaluation.findings import Findings, summary_of
from voice_trainer.evaluation.gates import Verdict
from voice_trainer.job.document import Gate
from voice_trainer.stages.evaluate import is_undecided

SCORES = {"pesq": Estimate(3.9, 3.69, 4.11, 3), "stoi": Estimate(0.91, 0.91, 0.91, 1)}


def a_summary(scores: dict[str, Estimate] = SCORES) -> dict[str, Any]:
    nothing: Any = SimpleNamespace(clip=SimpleNamespace(id="LJ001-0001"))
    return summary_of(Findings(nothing, (), nothing, (), scores, scores, {}, (), "default", ""), "cpu")


def test_a_score_of_a_single_clip_has_no_interval() -> None:
    """Zero would say that it is exact, and any lower score worse."""
    summary = a_summary()
    assert summary["scores"] == {"pesq": "3.900", "stoi": "0.910"}
    assert summary["intervals"] == {"pesq": "0.210"}


def a_verdict(metric: str, low: float, high: float) -> Verdict:
    return Verdict(Gate.model_validate({"metric": metric, "min": "0.5"}), Estimate((low + high) / 2, low, high, 12))


def test_where_all_are_alike_there_is_no_interval_either() -> None:
    alike = {"longestPause": Estimate(0.0, 0.0, 0.0, 14), "pesq": SCORES["pesq"]}
    assert a_summary(scores=alike)["intervals"] == {"pesq": "0.210"}


@pytest.mark.parametrize(
    ("verdict", "more"),
    [
        pytest.param(a_verdict("dnsmos", 0.4, 0.7), True, id="an interval over the bound"),
        pytest.param(a_verdict("dnsmos", 0.6, 0.7), False, id="one inside"),
        pytest.param(a_verdict("dnsmos", 0.3, 0.4), False, id="one outside"),
        pytest.param(a_verdict("stoi", 0.4, 0.7), False, id="clips are as many as were held out"),
    ],
)
def test_more_sentences_are_spoken_while_a_gate_is_undecided(verdict: Verdict, more: bool) -> None:
    assert is_undecided(verdict) is more
