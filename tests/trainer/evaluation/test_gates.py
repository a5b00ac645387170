"""Gates: whose apply, and what passes them."""

from decimal import Decimal

import pytest

from sovits_core.bundle.base import Gate as BaseGate
from voice_trainer.errors import Refused
from voice_trainer.evaluation.estimates import Estimate
from voice_trainer.evaluation.gates import DEFAULTS, Verdict, chosen_gates, judge
from voice_trainer.job.document import Gate


def a_gate(metric: str, **bounds: str) -> Gate:
    return Gate.model_validate({"metric": metric, **bounds})


def exactly(value: float | None) -> Estimate | None:
    return None if value is None else Estimate(value, value, value, 3)


OWN = (a_gate("pesq", min="1.2"),)
BASE = (BaseGate(metric="stoi", min="0.6"),)


@pytest.mark.parametrize(
    ("asked", "base", "expected"),
    [
        pytest.param(OWN, BASE, (OWN, "spec"), id="the user's gates win"),
        pytest.param((), BASE, ((), "spec"), id="a user may ask for no gates"),
        pytest.param(None, BASE, ((a_gate("stoi", min="0.6"),), "base"), id="then the base's"),
        pytest.param(None, (), (DEFAULTS, "default"), id="then the defaults"),
    ],
)
def test_whose_gates_apply(
    asked: tuple[Gate, ...] | None, base: tuple[BaseGate, ...], expected: tuple[tuple[Gate, ...], str]
) -> None:
    assert chosen_gates(asked, base, language="en") == expected


FLOOR = (a_gate("pesq", min="3.0"),)


@pytest.mark.parametrize(
    ("asked", "base", "expected"),
    [
        pytest.param((), (), FLOOR, id="no gates are measured against the minimum"),
        pytest.param((a_gate("pesq", min="1.2"),), (), FLOOR, id="a weaker gate is raised"),
        pytest.param((a_gate("pesq", min="3.9"),), (), (a_gate("pesq", min="3.9"),), id="a stricter one stays"),
        pytest.param(None, BASE, (a_gate("stoi", min="0.6"), *FLOOR), id="the base's gates are joined"),
        pytest.param(
            (a_gate("pesq", max="4.0"),), (), (a_gate("pesq", max="4.0"), *FLOOR), id="another bound is no way around"
        ),
    ],
)
def test_no_gate_is_weaker_than_the_installations_minimum(
    asked: tuple[Gate, ...] | None, base: tuple[BaseGate, ...], expected: tuple[Gate, ...]
) -> None:
    assert chosen_gates(asked, base, FLOOR, language="en")[0] == expected


def test_the_defaults_are_the_published_ones() -> None:
    assert [(gate.metric, gate.min) for gate in DEFAULTS] == [("pesq", Decimal("3.5")), ("stoi", Decimal("0.85"))]


def test_an_unknown_metric_is_refused_and_the_known_ones_are_named() -> None:
    with pytest.raises(Refused, match="'mos'; known metrics: pesq, stoi, speakerSimilarity"):
        chosen_gates((a_gate("mos", min="1"),), (), language="en")


def test_a_gate_without_a_bound_is_refused() -> None:
    with pytest.raises(Refused, match="neither min nor max"):
        chosen_gates((Gate(metric="pesq"),), (), language="en")


@pytest.mark.parametrize(
    ("gate", "value", "passed"),
    [
        (a_gate("pesq", min="3.5"), 3.5, True),
        (a_gate("pesq", min="3.5"), 3.4996, True),  # printed as 3.500, and the verdict agrees with the print
        (a_gate("pesq", min="3.5"), 3.499, False),
        (a_gate("pesq", max="2"), 2.1, False),
        (a_gate("pesq", min="1", max="2"), 1.5, True),
        (a_gate("pesq", min="1"), None, False),
        (a_gate("pesq", min="1"), float("nan"), False),
    ],
)
def test_what_passes(gate: Gate, value: float | None, passed: bool) -> None:
    assert Verdict(gate, exactly(value)).passed is passed


def test_verdicts_are_documents_of_decimal_strings() -> None:
    (verdict,) = judge(OWN, {"pesq": Estimate(1.91, 1.8, 2.0, 3)})
    assert verdict.document() == {
        "metric": "pesq",
        "min": "1.2",
        "value": "1.910",
        "verdict": "passed",
        "passed": True,
    }


@pytest.mark.parametrize(
    ("low", "high", "outcome", "passed"),
    [
        pytest.param(0.60, 0.80, "passed", True, id="the interval lies inside"),
        pytest.param(0.50, 0.72, "passed", True, id="from the bound on"),
        pytest.param(0.49, 0.73, "inconclusive", True, id="it straddles the bound, the mean reaches it"),
        pytest.param(0.30, 0.51, "inconclusive", False, id="it straddles the bound, the mean does not"),
        pytest.param(0.20, 0.49, "failed", False, id="it lies outside"),
    ],
)
def test_an_interval_decides_or_leaves_it_to_the_mean(low: float, high: float, outcome: str, passed: bool) -> None:
    verdict = Verdict(a_gate("stoi", min="0.5"), Estimate((low + high) / 2, low, high, 12))
    assert (verdict.outcome, verdict.passed) == (outcome, passed)


def test_a_gate_with_both_bounds_holds_both() -> None:
    gate = a_gate("durationRatio", min="0.8", max="1.2")
    outcomes = [Verdict(gate, Estimate(mean, mean - 0.05, mean + 0.05, 9)).outcome for mean in (0.7, 0.81, 1.0, 1.3)]
    assert outcomes == ["failed", "inconclusive", "passed", "failed"]


def test_one_clip_proves_nothing() -> None:
    verdict = Verdict(a_gate("stoi", min="0.5"), Estimate(0.9, 0.9, 0.9, 1))
    assert (verdict.outcome, verdict.passed) == ("inconclusive", True)


def test_a_floor_raises_one_bound_and_leaves_the_other() -> None:
    asked = (a_gate("durationRatio", min="0.5", max="1.3"),)
    floors = (a_gate("durationRatio", min="0.7"), a_gate("durationRatio", max="1.6"))
    assert chosen_gates(asked, (), floors, language="en")[0] == (a_gate("durationRatio", min="0.7", max="1.3"),)


def test_a_gate_on_words_needs_a_recogniser_of_the_language() -> None:
    with pytest.raises(Refused, match="needs a recogniser, and there is none of language 'ja', only of en; remove"):
        chosen_gates((a_gate("cer", max="0.2"),), (), language="ja")


def test_the_installations_recogniser_makes_words_measurable() -> None:
    gate = a_gate("cer", max="0.2")
    assert chosen_gates((gate,), (), language="ja", has_folder=True) == ((gate,), "spec")
    base = (BaseGate(metric="cer", max="0.2"),)
    assert [one.metric for one in chosen_gates(None, base, language="ja", has_folder=True)[0]] == ["cer"]


def test_a_bases_gate_on_words_does_not_apply_where_there_is_no_recogniser() -> None:
    base = (BaseGate(metric="cer", max="0.2"), *BASE)
    assert [gate.metric for gate in chosen_gates(None, base, language="ja")[0]] == ["stoi"]
    assert [gate.metric for gate in chosen_gates(None, base, language="en")[0]] == ["cer", "stoi"]
