"""Texts as long as what is said: rates beside the others, and whole lists that are shifted."""

from pathlib import Path

import numpy as np
import pytest

from sovits_core.text import LANGUAGES, phonemize
from voice_trainer.evaluation.sentences import sentences_for
from voice_trainer.recordings import audio
from voice_trainer.recordings.measures import RATE_HIGH, RATE_LOW
from voice_trainer.recordings.rates import (
    USUAL_RATES,
    judge_lengths,
    length_agreement,
    rate_ratios,
    relative_rate,
    spoken,
)
from voice_trainer.recordings.vad import detect


@pytest.fixture(scope="module")
def lengths(shared: Path) -> tuple[list[int], list[float]]:
    """Phones and seconds of speech of ten clips of a reader."""
    folder = shared / "data" / "librispeech" / "2414"
    counts, seconds = [], []
    for line in (folder / "metadata.csv").read_text(encoding="utf-8").splitlines():
        name, text = line.split("|", 1)
        samples, rate = audio.read_mono(folder / "wavs" / f"{name}.flac")
        counts.append(spoken(phonemize(text, "en").phones))
        seconds.append(detect(audio.resample(samples, rate, audio.ANALYSIS_RATE)).seconds)
    return counts, seconds


def test_a_right_list_has_no_finding_and_each_shifted_one_is_refused(lengths: tuple[list[int], list[float]]) -> None:
    counts, seconds = lengths
    assert judge_lengths(counts, seconds) == ()
    for by in range(1, len(counts)):
        (finding,) = judge_lengths(counts[by:] + counts[:by], seconds)
        assert (finding.clip, finding.reason, finding.severity) == ("", "TextMismatch", "refusal")
        assert "the list is shifted or shuffled, so give each clip its own text" in finding.sentence


def test_a_list_with_some_wrong_texts_is_warned_of() -> None:
    seconds = [float(n) for n in range(2, 14)]
    counts = [10 * n for n in range(2, 14)]
    counts[0], counts[8] = counts[8], counts[0]
    (finding,) = judge_lengths(counts, seconds)
    assert finding.severity == "warning"


@pytest.mark.parametrize(
    ("counts", "seconds"),
    [
        pytest.param([10, 90] * 4, [1.0, 9.0] * 4, id="few clips"),
        pytest.param([30] * 20, [1.0, 9.0] * 10, id="texts of one length"),
        pytest.param([10, 90] * 10, [3.0, 3.1] * 10, id="clips of one length"),
        pytest.param([], [], id="none"),
        pytest.param([0] * 20, [0.0] * 20, id="nothing said"),
    ],
)
def test_what_cannot_be_correlated_is_not_judged(counts: list[int], seconds: list[float]) -> None:
    assert length_agreement(counts, seconds) is None


def test_a_rate_is_compared_with_the_usual_one_in_both_directions() -> None:
    found = rate_ratios([20, 20, 20, 40, 10, 20], [2.0, 2.0, 2.0, 2.0, 2.0, 1.0])
    assert found == [1.0, 1.0, 1.0, 2.0, 2.0, None]
    assert rate_ratios([20, 20, 20], [2.0] * 3) == [None] * 3
    assert np.all([value is None for value in rate_ratios([0] * 6, [2.0] * 6)])


def is_nucleus(language: str, phone: str) -> bool:
    """Whether a phone is the vowel of a syllable; Korean syllables are letters, as some vowels are two phones."""
    if language == "ja":
        return phone in set("aiueoAIUEO")
    return phone[-1].isdigit()  # a stress or a tone


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_usual_rate_is_that_of_the_literature_in_phones_of_the_front_end(language: str) -> None:
    per_second = {"en": 6.33, "ja": 7.98, "ko": 7.17, "yue": 5.59, "zh": 5.84}[language]  # syllables
    sentences = sentences_for(language, (), 99)
    phones = [phone for text in sentences for phone in phonemize(text, language).phones if spoken([phone])]
    syllables = (
        sum(sign.isalpha() for text in sentences for sign in text)
        if language == "ko"
        else sum(is_nucleus(language, phone) for phone in phones)
    )
    assert USUAL_RATES[language] == pytest.approx(per_second * len(phones) / syllables, rel=0.02)


def test_every_language_has_a_usual_rate() -> None:
    assert set(USUAL_RATES) == set(LANGUAGES)


def test_a_right_text_of_mandarin_is_usual_and_three_of_them_are_too_long(shared: Path) -> None:
    (path,) = (shared / "data" / "zh").rglob("*.wav")
    samples, rate = audio.read_mono(path)
    seconds = detect(audio.resample(samples, rate, audio.ANALYSIS_RATE)).seconds
    count = spoken(phonemize("广州市房地产中介协会分析", "zh").phones)
    right, thrice = (relative_rate(times * count, seconds, "zh") for times in (1, 3))
    assert right is not None
    assert thrice is not None
    assert (RATE_LOW.severity(right), RATE_HIGH.severity(right)) == (None, None)
    assert RATE_HIGH.severity(thrice) == "warning"


@pytest.mark.parametrize(("language", "text", "count"), [("ko", "네 네", 4), ("ja", "はい、はい。", 6)])
def test_marks_that_make_no_sound_are_no_phones(language: str, text: str, count: int) -> None:
    phones = phonemize(text, language).phones
    assert spoken(phones) == count, phones
