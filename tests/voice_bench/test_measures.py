"""Measures of recognised speech: errors, loops, expected durations, trailing noise."""

import numpy as np
import pytest
from dev.voice_bench import measures
from dev.voice_bench.measures import Errors

from sovits_core.synthesis.repetition import most_repeated


@pytest.mark.parametrize(
    ("reference", "recognised", "wrong"),
    [
        pytest.param("turn left here", "turn left here", 0, id="nothing wrong"),
        pytest.param("turn left here", "turn right here", 1, id="another word"),
        pytest.param("turn left here", "turn here", 1, id="a word missing"),
        pytest.param("turn left here", "turn left left here now", 2, id="two words too many"),
        pytest.param("turn left here", "", 3, id="nothing recognised"),
    ],
)
def test_errors_are_substitutions_deletions_and_insertions(reference: str, recognised: str, wrong: int) -> None:
    assert measures.errors(reference.split(), recognised.split()) == Errors(wrong, 3)


def test_a_rate_over_sentences_weighs_every_word_the_same() -> None:
    assert measures.total([Errors(1, 2), Errors(0, 8)]) == 0.1
    assert measures.total([]) is None
    assert Errors(6, 3).rate == 2.0  # many insertions


@pytest.mark.parametrize(
    ("tokens", "times"),
    [
        pytest.param([1, 2, 3, 4, 5, 6, 7, 8], 1, id="no run comes twice"),
        pytest.param([1, 2, 3, 4, 9, 1, 2, 3, 4], 2, id="a run comes again"),
        pytest.param([7] * 40, 0, id="a held sound is no run"),
        pytest.param([1, 2, 3], 0, id="shorter than a run"),
        pytest.param([], 0, id="nothing"),
    ],
)
def test_runs_of_tokens_are_counted(tokens: list[int], times: int) -> None:
    assert most_repeated(tokens, 4) == times


@pytest.mark.parametrize(
    ("tokens", "recognised", "expected"),
    [
        pytest.param(range(50), "HH AH L OW TH EH R", False, id="plain speech"),
        pytest.param([1, 2, 3, 4, 5] * 4, "HH AH L OW TH EH R", True, id="a loop of tokens"),
        pytest.param(range(50), "HH AH L OW TH EH R HH AH L OW TH EH R", True, id="repeated phones"),
    ],
)
def test_repetition_is_seen_in_tokens_and_in_phones(tokens: list[int], recognised: str, expected: bool) -> None:
    assert measures.repeats(list(tokens), recognised.split(), ["HH", "AH", "L", "OW", "TH", "EH", "R"]) is expected


def test_what_the_text_itself_repeats_is_no_repetition() -> None:
    twice = ["HH", "AH", "L", "OW", "TH"] * 2
    assert not measures.repeats([], twice, twice)


def test_a_slow_speaker_has_longer_expected_durations() -> None:
    assert measures.expected_seconds([2.0, 3.0], speaker_voiced=90.0, flite_voiced=60.0) == [3.0, 4.5]


@pytest.mark.parametrize(
    ("after", "level"),
    [
        pytest.param(0.1, None, id="too short"),
        pytest.param(0.5, -20.0, id="noise at a tenth of the speech"),
    ],
)
def test_trailing_sound_is_compared_with_the_speech(after: float, level: float | None) -> None:
    rate = 1000
    wav = np.concatenate([np.ones(rate), np.full(round(after * rate), 0.1)]).astype(np.float32)
    assert measures.trailing_level(wav, rate, 1.0) == (None if level is None else pytest.approx(level))


def test_silence_after_the_speech_is_no_noise() -> None:
    wav = np.concatenate([np.ones(1000), np.zeros(500)]).astype(np.float32)
    level = measures.trailing_level(wav, 1000, 1.0)
    assert level is not None
    assert level < measures.TRAILING_DECIBELS


def test_without_any_speech_there_is_no_trailing_noise() -> None:
    assert measures.trailing_level(np.ones(1000, dtype=np.float32), 1000, 0.0) is None
