"""Words that are missing in speech are named; flite speaks, so that it is known what was said."""

import subprocess
import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from sovits_core.text import PhonemeSegment, phonemize
from voice_inference.engine.listening import Listener


@pytest.fixture(scope="module")
def listener() -> Listener:
    return Listener()


def spoken(text: str, folder: Path) -> tuple[np.ndarray, int]:
    """Samples (n,) of a text, and their rate."""
    target = folder / "spoken.wav"
    subprocess.run(["flite", "-voice", "slt", "-t", text, "-o", str(target)], check=True, capture_output=True)
    with wave.open(str(target)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
        return samples, file.getframerate()


def missing_words(
    listener: Listener, samples: np.ndarray, rate: int, parts: Sequence[PhonemeSegment]
) -> tuple[str, ...]:
    return tuple(one.word for one in listener.listen(samples, rate, parts) if not one.is_heard)


SENTENCE = "We took the last train home after the show."


@pytest.mark.parametrize(
    ("said", "missing"),
    [
        pytest.param(SENTENCE, (), id="nothing is missing"),
        pytest.param("took the last train home after the show.", ("we",), id="the first word"),
        pytest.param("We took the last train home after.", ("the", "show"), id="the last words"),
        pytest.param("We took the train home after the show.", ("last",), id="a word within"),
    ],
)
def test_missing_words(said: str, missing: tuple[str, ...], listener: Listener, tmp_path: Path) -> None:
    assert missing_words(listener, *spoken(said, tmp_path), phonemize(SENTENCE, "en").segments) == missing


def test_another_sentence_has_almost_none_of_the_words(listener: Listener, tmp_path: Path) -> None:
    heard = missing_words(listener, *spoken("Rain fell on our roof.", tmp_path), phonemize(SENTENCE, "en").segments)
    assert len(heard) >= 5


def test_names_and_numbers_are_listened_for_as_they_are_read(listener: Listener, tmp_path: Path) -> None:
    parts = phonemize("Miss Blickson sold 42 eggs.", "en").segments
    assert missing_words(listener, *spoken("Miss Blickson sold forty two eggs.", tmp_path), parts) == ()
    assert "forty" in missing_words(listener, *spoken("Miss Blickson sold eggs.", tmp_path), parts)
    assert missing_words(listener, *spoken("Miss sold forty two eggs.", tmp_path), parts) == ("blickson",)


def test_silence_has_no_words(listener: Listener) -> None:
    silence = np.zeros(16_000, dtype=np.float32)
    assert missing_words(listener, silence, 16_000, phonemize("Hello there.", "en").segments) == ("hello", "there")


def test_what_was_heard_before_changes_nothing(listener: Listener, tmp_path: Path) -> None:
    parts = phonemize(SENTENCE, "en").segments
    samples, rate = spoken("We took the train home after the show.", tmp_path)
    first = missing_words(listener, samples, rate, parts)
    missing_words(
        listener, *spoken("Something else entirely, and loud.", tmp_path), phonemize("Something else.", "en").segments
    )
    assert missing_words(listener, samples, rate, parts) == first


def test_other_languages_are_not_listened_to(listener: Listener) -> None:
    silence = np.zeros(16_000, dtype=np.float32)
    assert missing_words(listener, silence, 16_000, phonemize("안녕하세요 여러분", "ko").segments) == ()


def test_words_are_heard_one_after_another_where_they_are_said(listener: Listener, tmp_path: Path) -> None:
    samples, rate = spoken(SENTENCE, tmp_path)
    silence = np.zeros(rate, dtype=np.float32)
    words = listener.listen(np.concatenate([silence, samples]), rate, phonemize(SENTENCE, "en").segments)
    times = [time for word in words for time in (word.start, word.end)]
    assert times == sorted(times)
    assert 0.9 < words[0].start < 1.3
    assert 1.5 < words[-1].end <= 1.05 + samples.size / rate
    assert [word.word for word in words] == SENTENCE.rstrip(".").lower().split()
