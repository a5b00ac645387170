"""Where a sentence ends, whatever follows it."""

import numpy as np
import pytest
from dev.voice_bench import flite
from dev.voice_bench.ending import Aligner
from dev.voice_bench.waves import RATE, Wave
from dev.voice_bench.wording import sentences

ASKED, OTHER = sentences()[:2]
NEAR = 0.1  # seconds


@pytest.fixture(scope="module")
def aligner() -> Aligner:
    return Aligner()


@pytest.fixture(scope="module")
def speech() -> Wave:
    """A sentence by flite, of which the last 0.15 s are silent."""
    return flite.speak(ASKED, "rms")


def noise(seconds: float) -> Wave:
    samples: Wave = np.random.default_rng(0).standard_normal(int(seconds * RATE)).astype(np.float32)
    return samples


def test_nothing_is_left_behind_a_clean_sentence(aligner: Aligner, speech: Wave) -> None:
    found = aligner.last_word_end(speech, ASKED)
    assert found is not None
    assert len(speech) / RATE - 0.15 - NEAR < found <= len(speech) / RATE  # its silence may count as its last sound


@pytest.mark.parametrize("after", ["noise", "reversed speech", "another sentence", "hum"])
def test_what_follows_is_no_part_of_it(aligner: Aligner, speech: Wave, after: str) -> None:
    loudness = float(np.sqrt(np.mean(np.square(speech))))
    seconds = np.arange(int(0.7 * RATE), dtype=np.float32) / RATE
    tail = {
        "noise": lambda: noise(0.7) * loudness / 2,
        "reversed speech": lambda: speech[: int(0.7 * RATE)][::-1],
        "another sentence": lambda: flite.speak(OTHER, "rms")[int(0.15 * RATE) : int(0.85 * RATE)],
        "hum": lambda: np.sin(2 * np.pi * 120 * seconds) * loudness,
    }[after]()
    found = aligner.last_word_end(np.concatenate([speech, tail]), ASKED)
    assert found == pytest.approx(len(speech) / RATE - 0.15, abs=NEAR)


def test_words_that_were_never_said_do_not_fit(aligner: Aligner) -> None:
    assert aligner.last_word_end(noise(1.0) * 0.05, ASKED) is None


def test_silence_has_no_last_word(aligner: Aligner) -> None:
    assert aligner.last_word_end(np.zeros(RATE, dtype=np.float32), ASKED) is None


def test_a_word_outside_the_dictionary_is_laid_too(aligner: Aligner) -> None:
    text = "We walked along the flibberty wall."
    wav = flite.speak(text, "rms")
    assert aligner.last_word_end(wav, text) == pytest.approx(len(wav) / RATE - 0.15, abs=NEAR)


def test_what_was_laid_before_changes_nothing(aligner: Aligner, speech: Wave) -> None:
    before = aligner.last_word_end(speech, ASKED)
    aligner.last_word_end(flite.speak(OTHER, "rms"), OTHER)
    assert aligner.last_word_end(speech, ASKED) == before
