"""Gates of a base: what the next speaker's voice passes in 19 of 20 cases."""

import numpy as np
import pytest

from voice_trainer.calibration.bounds import Reached, gates_for, left_out, passes


def voices(metric: str, values: list[float], width: float = 0.0) -> list[Reached]:
    return [Reached({metric: value}, {metric: width} if width else {}) for value in values]


def test_the_bound_is_students_prediction_bound() -> None:
    (gate,) = gates_for(voices("stoi", [0.6, 0.7, 0.8]), ["stoi"])
    assert (gate.metric, gate.max) == ("stoi", None)
    # t(0.95, 2) = 2.920, deviation 0.1, root of 4/3: 0.7 - 0.337, rounded down.
    assert gate.min == "0.36"


def test_errors_have_a_most_and_durations_both() -> None:
    (errors,) = gates_for(voices("cer", [0.1, 0.2, 0.3]), ["cer"])
    assert (errors.min, errors.max) == (None, "0.54")
    (duration,) = gates_for(voices("durationRatio", [0.9, 1.0, 1.1]), ["durationRatio"])
    assert (duration.min, duration.max) == ("0.66", "1.34")


def test_voices_that_agree_leave_room_for_chance() -> None:
    (gate,) = gates_for(voices("repetitionRate", [0.0] * 6, width=0.108), ["repetitionRate"])
    assert gate.max == "0.11", "one loop among fourteen sentences stops no voice"


def test_a_metric_that_few_voices_have_is_no_gate() -> None:
    assert gates_for([*voices("stoi", [0.5, 0.6]), Reached({}, {})], ["stoi", "cer"]) == ()


def test_19_of_20_voices_pass() -> None:
    rng = np.random.default_rng(0)
    passed = []
    for _ in range(1000):
        scores = rng.normal(0.7, 0.05, 7)
        gates = gates_for(voices("stoi", list(scores[:6])), ["stoi"])
        passed.append(passes(gates, Reached({"stoi": float(scores[6])}, {})))
    assert np.mean(passed) == pytest.approx(0.95, abs=0.025)


def test_a_voice_is_judged_by_the_others() -> None:
    assert left_out(voices("stoi", [0.70, 0.71, 0.72, 0.10]), ["stoi"]) == [True, True, True, False]


def test_a_score_that_is_missing_is_not_reached() -> None:
    gates = gates_for(voices("stoi", [0.6, 0.7, 0.8]), ["stoi"])
    assert not passes(gates, Reached({}, {}))
