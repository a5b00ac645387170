"""Scores: aligned before they are measured."""

from pathlib import Path

import numpy as np
import pytest

from voice_trainer.evaluation.scores import align, compare
from voice_trainer.recordings import audio
from voice_trainer.recordings.audio import ANALYSIS_RATE
from voice_trainer.recordings.decoding import Samples


@pytest.fixture(scope="module")
def speech(spoken_dataset: Path) -> Samples:
    samples, rate = audio.read_mono(min((spoken_dataset / "wavs").iterdir()))
    return audio.resample(samples, rate, ANALYSIS_RATE)


@pytest.mark.parametrize("lag", [-320, -7, 0, 150, 320])
def test_a_shift_of_up_to_20_ms_is_undone(lag: int) -> None:
    noise = np.random.default_rng(0).standard_normal(8000).astype(np.float32)
    shifted = np.roll(noise, lag)
    recording, resynthesis = align(noise, shifted)
    assert len(recording) == len(resynthesis) == 8000 - abs(lag)
    inside = slice(320, -320)
    assert np.array_equal(recording[inside], resynthesis[inside])


def test_a_recording_scores_perfectly_against_itself_even_late(speech: Samples) -> None:
    late = np.concatenate([np.zeros(200, dtype=np.float32), speech])
    scores = compare(speech, late)
    assert scores.pesq == pytest.approx(4.64, abs=0.01)
    assert scores.stoi == pytest.approx(1.0, abs=0.001)


def test_noise_lowers_both_scores(speech: Samples) -> None:
    noise = np.random.default_rng(0).standard_normal(len(speech)).astype(np.float32)
    little, much = (compare(speech, speech + level * noise) for level in (0.003, 0.1))
    assert (little.pesq or 0) > (much.pesq or 9)
    assert (little.stoi or 0) > (much.stoi or 9)


@pytest.mark.parametrize("seconds", [0.0, 0.1, 0.3])
def test_a_measure_that_is_not_defined_is_not_a_number_to_average(speech: Samples, seconds: float) -> None:
    short = speech[4000 : 4000 + int(seconds * ANALYSIS_RATE)]
    assert compare(short, short).stoi is None


def test_silence_has_no_pesq(speech: Samples) -> None:
    assert compare(speech, np.zeros_like(speech)).pesq is None
