"""What evaluate tells the operator, and when it speaks more."""

from types import SimpleNamespace
from typing import Any

import pytest

from voice_trainer.evaluation.estimates import Estimate
from voice_trainer.evaluation.findings import Findings, summary_of
from voice_trainer.evaluation.gates import Origin, Verdict
from voice_trainer.job.document import Gate
from voice_trainer.stages.evaluate import is_undecided

SCORES = {"pesq": Estimate(3.9, 3.69, 4.11, 3), "stoi": Estimate(0.91, 0.91, 0.91, 1)}


def a_summary(origin: Origin = "default", verdicts: tuple[Verdict, ...] = ()) -> dict[str, Any]:
    nothing: Any = SimpleNamespace(clip=SimpleNamespace(id="LJ001-0001"))
    return summary_of(Findings(nothing, (), nothing, (), SCORES, SCORES, {}, verdicts, origin), "en", "cpu")


def test_a_score_of_a_single_clip_has_no_interval() -> None:
    """Zero would say that it is exact, and any lower score worse."""
    summary = a_summary()
    assert summary["scores"] == {"pesq": "3.900", "stoi": "0.910"}
    assert summary["intervals"] == {"pesq": "0.210"}


def a_verdict(metric: str, low: float, high: float) -> Verdict:
    return Verdict(Gate.model_validate({"metric": metric, "min": "0.5"}), Estimate((low + high) / 2, low, high, 12))


def test_a_default_gate_that_failed_says_that_it_is_a_default() -> None:
    failed = (a_verdict("stoi", 0.1, 0.2),)
    assert "documented defaults" in a_summary("default", failed)["gatesHint"]
    assert "voice-trainer calibrate" in a_summary("default", failed)["gatesHint"]
    assert a_summary("spec", failed)["gatesHint"] == ""
    assert a_summary("default", (a_verdict("stoi", 0.8, 0.9),))["gatesHint"] == ""


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
