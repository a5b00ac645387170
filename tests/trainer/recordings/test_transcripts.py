"""Transcripts: a text that is not what is said is found by the phones of it and of others."""

from pathlib import Path

import numpy as np
import pytest

from sovits_core.text import phonemize
from voice_trainer.recordings.decoding import Samples
from voice_trainer.recordings.measures import TEXT
from voice_trainer.recordings.transcripts import PhoneRecogniser, distances, match_texts, numbers_of


@pytest.fixture(scope="module")
def heard(spoken: dict[str, Samples]) -> list[np.ndarray]:
    recogniser = PhoneRecogniser()
    return [numbers_of(recogniser.phones(samples)) for samples in spoken.values()]


@pytest.fixture(scope="module")
def texts(spoken: dict[str, Samples], transcripts: dict[str, str]) -> list[np.ndarray]:
    return [numbers_of(phonemize(transcripts[name], "en").phones) for name in spoken]


def test_right_texts_fit_far_better_than_those_of_other_clips(heard: list[np.ndarray], texts: list[np.ndarray]) -> None:
    assert TEXT.warn is not None
    for match in match_texts(heard, texts):
        assert match is not None
        assert match.margin > TEXT.warn
        assert match.nearest is None


def test_shifted_texts_are_found_and_the_right_one_is_named(heard: list[np.ndarray], texts: list[np.ndarray]) -> None:
    assert TEXT.refuse is not None
    for index, match in enumerate(match_texts(heard, texts[1:] + texts[:1])):
        assert match is not None
        assert match.margin < TEXT.refuse
        assert match.nearest == (index - 1) % len(texts)


def test_only_swapped_ones_are_found(heard: list[np.ndarray], texts: list[np.ndarray]) -> None:
    swapped = [texts[1], texts[0], *texts[2:]]
    matches = match_texts(heard, swapped)
    assert TEXT.refuse is not None
    assert [match is not None and match.margin < TEXT.refuse for match in matches] == [True] * 2 + [False] * 6


def test_what_is_too_short_or_alone_is_not_judged(heard: list[np.ndarray], texts: list[np.ndarray]) -> None:
    assert match_texts(heard[:3], texts[:3]) == [None] * 3, "too few others to compare with"
    assert match_texts([heard[0][:5], *heard[1:]], texts)[0] is None
    assert match_texts(heard, [texts[0][:5], *texts[1:]])[0] is None


def test_distances_are_edit_distances() -> None:
    cat = numbers_of(["K", "AE1", "T"])
    found = distances(
        cat, [cat, numbers_of(["K", "AE", "T", "S"]), numbers_of(["K", "EH", "T"]), numbers_of(["M", "AE", "T"])]
    )
    np.testing.assert_allclose(found, [0.0, 0.7 / 4, 0.5 / 3, 1.0 / 3])
    assert distances(cat, [numbers_of(["T"])])[0] == pytest.approx(2 * 0.7 / 3)


def test_silence_has_no_phones() -> None:
    assert PhoneRecogniser().phones(np.zeros(16_000, dtype=np.float32)) == ()


def test_punctuation_and_stress_are_no_phones(repository: Path) -> None:
    assert len(numbers_of([",", "HH", "AH0", "L", "OW1", "!"])) == 4
