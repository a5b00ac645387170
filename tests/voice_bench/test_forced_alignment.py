"""Forced alignment finds the last word's end, whatever follows it."""

import numpy as np
import pytest
from dev.voice_bench import flite
from dev.voice_bench.audio import RATE, Wave
from dev.voice_bench.forced_alignment import ForcedAligner
from dev.voice_bench.texts import sentences

TEXT, OTHER = sentences()[:2]
NEAR = 0.1  # seconds


@pytest.fixture(scope="module")
def aligner() -> ForcedAligner:
    return ForcedAligner()


@pytest.fixture(scope="module")
def speech() -> Wave:
    """A sentence by flite, of which the last 0.15 s are silent."""
    return flite.synthesize(TEXT, "rms")


def noise(seconds: float) -> Wave:
    samples: Wave = np.random.default_rng(0).standard_normal(int(seconds * RATE)).astype(np.float32)
    return samples


def test_a_clean_sentence_ends_with_its_last_word(aligner: ForcedAligner, speech: Wave) -> None:
    found = aligner.last_word_end(speech, TEXT)
    assert found is not None
    assert (
        len(speech) / RATE - 0.15 - NEAR < found <= len(speech) / RATE
    )  # its silence may be aligned with its last phone


@pytest.mark.parametrize("after", ["noise", "reversed speech", "another sentence", "hum"])
def test_sound_after_the_sentence_is_not_aligned(aligner: ForcedAligner, speech: Wave, after: str) -> None:
    loudness = float(np.sqrt(np.mean(np.square(speech))))
    seconds = np.arange(int(0.7 * RATE), dtype=np.float32) / RATE
    trailing = {
        "noise": lambda: noise(0.7) * loudness / 2,
        "reversed speech": lambda: speech[: int(0.7 * RATE)][::-1],
        "another sentence": lambda: flite.synthesize(OTHER, "rms")[int(0.15 * RATE) : int(0.85 * RATE)],
        "hum": lambda: np.sin(2 * np.pi * 120 * seconds) * loudness,
    }[after]()
    found = aligner.last_word_end(np.concatenate([speech, trailing]), TEXT)
    assert found == pytest.approx(len(speech) / RATE - 0.15, abs=NEAR)


def test_absent_words_have_no_alignment(aligner: ForcedAligner) -> None:
    assert aligner.last_word_end(noise(1.0) * 0.05, TEXT) is None


def test_silence_has_no_last_word(aligner: ForcedAligner) -> None:
    assert aligner.last_word_end(np.zeros(RATE, dtype=np.float32), TEXT) is None


def test_a_word_outside_the_lexicon_is_aligned_too(aligner: ForcedAligner) -> None:
    text = "We walked along the flibberty wall."
    wav = flite.synthesize(text, "rms")
    assert aligner.last_word_end(wav, text) == pytest.approx(len(wav) / RATE - 0.15, abs=NEAR)


def test_earlier_alignments_change_nothing(aligner: ForcedAligner, speech: Wave) -> None:
    before = aligner.last_word_end(speech, TEXT)
    aligner.last_word_end(flite.synthesize(OTHER, "rms"), OTHER)
    assert aligner.last_word_end(speech, TEXT) == before
