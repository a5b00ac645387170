"""The gates of a voice under the installation's minimum."""

from typing import Any

import pytest

from voice_operator.api.evaluation import Evaluation, Gate
from voice_operator.reconcile.gates import effective_gates
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
