"""Gates: whose apply, and what passes them."""

from decimal import Decimal

import pytest

from sovits_core.bundle.base import Gate as BaseGate
from voice_trainer.errors import Refused
from voice_trainer.evaluation.gates import DEFAULTS, Verdict, chosen_gates, judge
from voice_trainer.job.document import Gate


def a_gate(metric: str, **bounds: str) -> Gate:
    return Gate.model_validate({"metric": metric, **bounds})


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
    assert chosen_gates(asked, base) == expected


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
    assert chosen_gates(asked, base, FLOOR)[0] == expected


def test_the_defaults_are_the_published_ones() -> None:
    assert [(gate.metric, gate.min) for gate in DEFAULTS] == [("pesq", Decimal("3.5")), ("stoi", Decimal("0.85"))]


def test_an_unknown_metric_is_refused_and_the_known_ones_are_named() -> None:
    with pytest.raises(Refused, match="'mos'; known metrics: pesq, stoi"):
        chosen_gates((a_gate("mos", min="1"),), ())


def test_a_gate_without_a_bound_is_refused() -> None:
    with pytest.raises(Refused, match="neither min nor max"):
        chosen_gates((Gate(metric="pesq"),), ())


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
    assert Verdict(gate, value).passed is passed


def test_verdicts_are_documents_of_decimal_strings() -> None:
    (verdict,) = judge(OWN, {"pesq": 1.91})
    assert verdict.document() == {"metric": "pesq", "min": "1.2", "value": "1.910", "passed": True}
