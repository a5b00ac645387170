"""Recognition: what is written of a sentence, compared without case, punctuation and spaces."""

from pathlib import Path

import numpy as np
import pytest

from voice_trainer.evaluation.metrics import RECOGNISERS
from voice_trainer.evaluation.recognition import PocketSphinx, compare_texts, edit_distance, plain
from voice_trainer.recordings import audio
from voice_trainer.recordings.audio import ANALYSIS_RATE


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don\u2019t stop, Mister O'Neill!", "don't stop mister o'neill"),
        ("  'Quoted'  well-known_words ", "quoted well known words"),
        ("今天\uff0c天气很好。", "今天 天气很好"),
        ("\uff21\uff22\uff23\u3000\uff11\uff12", "abc 12"),
        ("…", ""),
    ],
)
def test_only_letters_and_digits_are_compared(text: str, expected: str) -> None:
    assert plain(text) == expected


@pytest.mark.parametrize(
    ("expected", "found", "distance"),
    [("", "", 0), ("abc", "", 3), ("", "abc", 3), ("kitten", "sitting", 3), ("abc", "abc", 0), ("ab", "ba", 2)],
)
def test_edit_distance(expected: str, found: str, distance: int) -> None:
    assert edit_distance(expected, found) == distance


def test_words_and_characters_are_counted_apart() -> None:
    errors = compare_texts("The cat sat.", "the cats at")
    assert (errors.wrong_words, errors.words) == (2, 3)
    assert (errors.wrong_characters, errors.characters) == (0, 9), "spaces are no characters"


def test_speech_is_recognised_the_same_whatever_came_before(spoken_dataset: Path, transcripts: dict[str, str]) -> None:
    assert "en" in RECOGNISERS
    recogniser, (first, second) = PocketSphinx(), sorted(transcripts)[:2]

    def words(name: str) -> str:
        samples, rate = audio.read_mono(spoken_dataset / "wavs" / f"{name}.wav")
        return recogniser.words(audio.resample(samples, rate, ANALYSIS_RATE))

    alone = words(first)
    errors = compare_texts(transcripts[first], alone)
    assert errors.wrong_characters / errors.characters < 0.5
    wrong = compare_texts(transcripts[second], alone)
    assert wrong.wrong_characters / wrong.characters > 0.5, "the text of another clip"
    words(second)
    assert words(first) == alone


def test_silence_has_no_words() -> None:
    assert PocketSphinx().words(np.zeros(16000, dtype=np.float32)) == ""
