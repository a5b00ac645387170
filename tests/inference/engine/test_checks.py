"""A sentence is found wanting by its tokens, and by words that nobody hears."""

import pytest

from sovits_core.synthesis.repetition import most_repeated
from voice_inference.engine.checks import Fault, faults_of
from voice_inference.engine.tokens import FinishReason

PHONES, PACE = 30, 2.0
GOOD = list(range(60))


@pytest.mark.parametrize(
    ("tokens", "faults"),
    [
        pytest.param(GOOD, (), id="as long as the voice needs"),
        pytest.param(GOOD[:30], (), id="quick"),
        pytest.param(GOOD[:29], (Fault.TOO_SHORT,), id="words must be missing"),
        pytest.param(list(range(121)), (Fault.TOO_LONG,), id="far too long"),
        pytest.param(GOOD[:40] + [1, 2, 3, 4] * 4, (Fault.REPEATED,), id="a loop"),
        pytest.param(GOOD[:40] + [7] * 20, (), id="a long pause is no loop"),
    ],
)
def test_faults_of_tokens(tokens: list[int], faults: tuple[Fault, ...]) -> None:
    assert faults_of(tokens, FinishReason.END_TOKEN, phones=PHONES, pace=PACE) == faults


def test_a_sentence_without_an_end_has_a_fault() -> None:
    assert faults_of(GOOD, FinishReason.MAX_LENGTH, phones=PHONES, pace=PACE) == (Fault.ENDLESS,)


def test_each_missing_word_counts_so_that_the_best_attempt_can_be_chosen() -> None:
    found = faults_of(GOOD, FinishReason.END_TOKEN, phones=PHONES, pace=PACE, missing=2)
    assert found == (Fault.MISSING_WORDS, Fault.MISSING_WORDS)


def test_a_word_alone_may_be_slow() -> None:
    assert faults_of(GOOD[:30], FinishReason.END_TOKEN, phones=4, pace=PACE) == ()


def test_runs_are_counted_where_they_overlap() -> None:
    assert most_repeated([1, 2, 1, 2, 1], 2) == 2
    assert most_repeated([], 4) == 0
