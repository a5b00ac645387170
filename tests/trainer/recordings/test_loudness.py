"""Loudness: one RMS level, true peaks below the ceiling, and a limiter that changes nothing but the peaks."""

import numpy as np
import pytest
from scipy import signal

from voice_trainer.recordings.decoding import Samples
from voice_trainer.recordings.loudness import CEILING_DBTP, level_to, rms_dbfs, true_peak_dbtp

RATE = 32_000


def speech_like(crest: float, seed: int = 0) -> Samples:
    """Noise in syllables of 0.3 s with a peak ``crest`` times the RMS level every second."""
    rng = np.random.default_rng(seed)
    times = np.arange(4 * RATE) / RATE
    samples = rng.standard_normal(len(times)) * (0.2 + np.abs(np.sin(np.pi * times / 0.3)))
    samples /= np.sqrt(np.mean(samples**2))
    samples[RATE // 2 :: RATE] = crest
    return (0.01 * samples).astype(np.float32)


@pytest.mark.parametrize("crest", [3.0, 8.0, 20.0])
def test_a_clip_gets_the_level_and_keeps_below_the_ceiling(crest: float) -> None:
    result, found = level_to(speech_like(crest), RATE, -16.0)
    assert rms_dbfs(result) == pytest.approx(-16.0, abs=0.05)
    fine = signal.resample_poly(result, 16, 1)  # finer than the limiter looked
    assert 20 * np.log10(np.abs(fine).max()) <= CEILING_DBTP + 0.1
    assert (found.rms_dbfs, found.true_peak_dbtp) == (rms_dbfs(result), true_peak_dbtp(result))


def test_peaks_between_samples_count() -> None:
    wave = np.sin(2 * np.pi * RATE / 4 * np.arange(RATE) / RATE + np.pi / 4).astype(np.float32)
    assert 20 * np.log10(np.abs(wave).max()) == pytest.approx(-3.0, abs=0.1)
    assert true_peak_dbtp(wave) == pytest.approx(0.0, abs=0.2)


def test_nothing_pumps_the_gain_is_back_a_few_milliseconds_after_a_peak() -> None:
    quiet = speech_like(1.0)
    loud = quiet.copy()
    loud[2 * RATE] = 0.6
    result, found = level_to(loud, RATE, -16.0)
    gain = result / np.where(loud == 0, 1, loud)
    reference = np.median(gain)
    away = np.abs(np.arange(len(loud)) - 2 * RATE) > 0.021 * RATE
    limited = away & (np.abs(gain / reference - 1) > 0.01)
    assert found.limited_db > 3
    assert limited.mean() < 0.02, "only other peaks are limited"
    near = (np.arange(len(loud)) > 2 * RATE + 0.021 * RATE) & (np.arange(len(loud)) < 2 * RATE + 0.1 * RATE)
    assert np.median(gain[near]) == pytest.approx(reference, rel=0.01)


def test_silence_stays_silence() -> None:
    result, found = level_to(np.zeros(1000, dtype=np.float32), RATE, -16.0)
    assert not result.any()
    assert found.rms_dbfs == -120.0
