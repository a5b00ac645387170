"""The gates of a voice under the installation's minimum."""

from typing import Any

import pytest

from voice_operator.api.evaluation import Evaluation, Gate
from voice_operator.api.voice_status import GateVerdict
from voice_operator.reconcile.gates import described_gate, effective_gates, missed_gates
from voice_operator.reconcile.hashing import evaluation_hash

FLOOR = (Gate(metric="pesq", min="3.0"),)
WEAK, SAME, STRICT = (Gate(metric="pesq", min=bound) for bound in ("1.0", "3.00", "3.5"))
STOI = Gate(metric="stoi", min="0.9")


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param((), FLOOR, id="no gates are measured against the minimum"),
        pytest.param((WEAK,), FLOOR, id="a weaker gate is raised"),
        pytest.param((SAME,), (SAME,), id="an equal one keeps its spelling"),
        pytest.param((STRICT,), (STRICT,), id="a stricter one stays"),
        pytest.param((STOI,), (STOI, *FLOOR), id="others are joined"),
        pytest.param(
            (Gate(metric="pesq", max="4"),), (Gate(metric="pesq", max="4"), *FLOOR), id="another bound is no way around"
        ),
        pytest.param(None, None, id="the base's own are raised by the trainer"),
    ],
)
def test_effective_gates(asked: Any, expected: Any) -> None:
    assert effective_gates(asked, FLOOR) == expected
    assert effective_gates(asked, ()) == asked


def test_a_maximum_is_lowered() -> None:
    assert effective_gates((Gate(metric="cer", max="0.5"),), (Gate(metric="cer", max="0.2"),)) == (
        Gate(metric="cer", max="0.2"),
    )


def test_a_floor_raises_one_bound_of_a_duration_and_leaves_the_other() -> None:
    asked = (Gate(metric="durationRatio", min="0.5", max="1.3"),)
    floors = (Gate(metric="durationRatio", min="0.7"), Gate(metric="durationRatio", max="1.6"))
    assert effective_gates(asked, floors) == (Gate(metric="durationRatio", min="0.7", max="1.3"),)


@pytest.mark.parametrize(
    ("gates", "differs"),
    [
        pytest.param((STRICT,), False, id="strict enough"),
        pytest.param((SAME, STOI), False, id="equal"),
        pytest.param((WEAK,), True, id="weaker"),
        pytest.param((), True, id="none"),
        pytest.param(None, True, id="the base's, which only the trainer knows"),
    ],
)
def test_a_minimum_changes_the_evaluation_hash_only_where_it_changes_the_gates(gates: Any, *, differs: bool) -> None:
    evaluation = Evaluation(gates=gates)
    assert (evaluation_hash(evaluation, FLOOR) != evaluation_hash(evaluation)) is differs


RATIO = Gate(metric="durationRatio", min="0.7", max="1.3")


@pytest.mark.parametrize(
    ("gates", "floor", "missed"),
    [
        pytest.param((SAME,), (), [], id="reached exactly"),
        pytest.param((STRICT,), (), ["pesq is 3.000, at least 3.5 is needed"], id="raised"),
        pytest.param((WEAK,), FLOOR, [], id="the installation's, reached"),
        pytest.param((), (STRICT,), ["pesq is 3.000, at least 3.5 is needed"], id="the installation's, raised"),
        pytest.param(None, (), [], id="the base's own are no others"),
        pytest.param(None, (STRICT,), ["pesq is 3.000, at least 3.5 is needed"], id="the base's own below a minimum"),
        pytest.param((Gate(metric="cer", max="0.1"),), (), ["cer is 0.200, at most 0.1 is needed"], id="a maximum"),
        pytest.param(
            (RATIO,), (), ["durationRatio is 1.400, at least 0.7 and at most 1.3 is needed"], id="one of two bounds"
        ),
        pytest.param(
            (Gate(metric="pesq", min="abc"),), (), ["pesq is 3.000, at least abc is needed"], id="a bound that is none"
        ),
        pytest.param((STOI,), (), ["stoi is not measured, at least 0.9 is needed"], id="what nobody measured"),
        pytest.param((Gate(metric="wer", max="0.05"),), (), [], id="what it was judged by stays as it was judged"),
    ],
)
def test_missed_gates(gates: Any, floor: tuple[Gate, ...], missed: list[str]) -> None:
    recorded = (GateVerdict(metric="wer", max="0.05", value="0.050", passed=True),)
    scores = {"pesq": "3.000", "cer": "0.200", "durationRatio": "1.400", "wer": "0.051"}
    assert [described_gate(gate) for gate in missed_gates(recorded, scores, gates, floor)] == missed
