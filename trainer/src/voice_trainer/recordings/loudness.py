"""Loudness of a clip: one RMS level, under a ceiling of true peaks that leaves no audible pumping."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage, signal

from voice_trainer.recordings.decoding import Samples

CEILING_DBTP = -1.0  # dB true peak re full scale: room for resampling and for lossy formats
OVERSAMPLING = 4  # ITU-R BS.1770: peaks between samples are seen at four times the rate
ATTACK_SECONDS = 0.01  # before and after a peak: more than a period of a voice, less than a syllable, so nothing pumps
PASSES = 6
TOLERANCE_DB = 0.02


@dataclass(frozen=True)
class Loudness:
    """The levels of a finished clip."""

    rms_dbfs: float
    true_peak_dbtp: float
    limited_db: float  # the most that the limiter took away, at the highest peak
    limited_share: float  # of samples that it changed by more than 0.1 dB


def rms_dbfs(samples: Samples) -> float:
    """Return the RMS level in dB re full scale; digital silence is -120."""
    power = float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0
    return max(-120.0, 10.0 * float(np.log10(power))) if power > 0 else -120.0


def true_peaks(samples: Samples) -> Samples:
    """Return for each sample the highest magnitude from half a sample before to half a sample after it."""
    fine = np.abs(signal.resample_poly(samples, OVERSAMPLING, 1)).astype(np.float32)
    around = ndimage.maximum_filter1d(fine, OVERSAMPLING + 1, mode="nearest")[::OVERSAMPLING]
    peaks: Samples = np.maximum(around[: len(samples)], np.abs(samples))
    return peaks


def true_peak_dbtp(samples: Samples) -> float:
    """Return the true peak in dB re full scale; digital silence is -120."""
    peak = float(true_peaks(samples).max(initial=0.0))
    return max(-120.0, 20.0 * float(np.log10(peak))) if peak > 0 else -120.0


def level_to(samples: Samples, rate: int, target_dbfs: float) -> tuple[Samples, Loudness]:
    """Bring a clip to an RMS level; where peaks would exceed the ceiling, the gain is lower around them alone.

    The gain is smooth over 10 ms before and after a peak and 1 everywhere else, so nothing swells or breathes. The
    limiter takes a little loudness away, so the overall gain is corrected until the result is near enough.
    """
    if not samples.any():
        return samples, Loudness(-120.0, -120.0, 0.0, 0.0)
    # Smoothing changes the wave between samples a little; a tenth of a decibel covers that.
    ceiling = 10 ** ((CEILING_DBTP - 0.1) / 20)
    peaks = true_peaks(samples)
    gain = 10 ** ((target_dbfs - rms_dbfs(samples)) / 20)
    result, envelope = samples, np.ones_like(samples)
    for _ in range(PASSES):
        envelope = _limiter(peaks * gain, ceiling, rate)
        result = (samples * gain * envelope).astype(np.float32)
        missing = target_dbfs - rms_dbfs(result)
        if abs(missing) < TOLERANCE_DB:
            break
        gain *= 10 ** (missing / 20)
    return result, Loudness(
        rms_dbfs(result),
        true_peak_dbtp(result),
        limited_db=-20.0 * float(np.log10(envelope.min())),
        limited_share=float(np.mean(envelope < 10 ** (-0.1 / 20))),
    )


def _limiter(peaks: Samples, ceiling: float, rate: int) -> Samples:
    """Return a gain for each sample that keeps every peak below the ceiling and is smooth in time."""
    wanted = np.minimum(1.0, ceiling / np.maximum(peaks, 1e-9))
    reach = max(1, int(ATTACK_SECONDS * rate))
    lowest = ndimage.minimum_filter1d(wanted, 2 * reach + 1, mode="nearest")
    window = np.hanning(2 * reach + 3)[1:-1]
    gain: Samples = ndimage.convolve1d(lowest, window / window.sum(), mode="nearest").astype(np.float32)
    return gain
