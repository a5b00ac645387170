"""What a clip's samples tell without any model: clipping, bandwidth, hum, reverberation, steady tones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal

from voice_trainer.recordings.decoding import Samples

NEAR_PEAK = 0.98  # of the peak: samples above it are the flat tops of a clipped wave
NOTHING_DB = -80.0  # what a level is where there is nothing to measure

BAND_HZ = 250.0  # width of the bands in which bandwidth is measured
BANDWIDTH_DB = 65.0  # below the strongest band: what is weaker is not the microphone's
LOUD_PERCENTILE = 95  # of frames: the loudest fricatives show how far the spectrum reaches

HUM_WINDOW_SECONDS = 0.5  # resolves 2 Hz
HUM_PERCENTILE = 20  # of frames: hum is always there, the voice is not
HUM_MAINS_HZ = (50.0, 60.0)
HUM_HARMONICS = 6
HUM_PROMINENCE = 8.0  # how far above its neighbours' power a harmonic must stand
HUM_MIN_HARMONICS = 2

DECAY_FRAME_SECONDS = 0.01
DECAY_BANDS_HZ = ((400.0, 800.0), (800.0, 1600.0), (1600.0, 3200.0))
DECAY_FRAMES = 6  # of steady decrease, at least
DECAY_DB = 12.0  # of decrease, at least
DECAY_PERCENTILE = 25  # of all decays found: a room lets none be faster, a voice may be slower

TONES_WINDOW_SECONDS = 0.128  # resolves 8 Hz
TONES_HOP_SECONDS = 0.016
TONES_LAG_SECONDS = 0.15  # longer than a voice keeps its pitch, shorter than most notes
TONES_BAND_HZ = (400.0, 4000.0)  # above the harmonics of the mains; a voice's move further the higher they are
TONES_SMOOTHED_HZ = 200.0  # what is wider is no tone but a formant
TONES_FLOOR_DB = 45.0  # below the loud parts of the clip: fainter tones do not count
TONES_LEAST = 0.05  # mean square of log10 of power: with less there is no structure, as in silence
TONES_FALL_DB = 3.0  # between two moments: where the sound falls by more, a room keeps what was said
TONES_MIN_SECONDS = 3.0  # of a clip: in shorter ones a held vowel counts too much


def clipped_share(samples: Samples) -> float:
    """Return the share (0 to 1) of samples at the peak: 0.0001 in speech, more where a converter was overdriven."""
    peak = float(np.abs(samples).max(initial=0.0))
    return float(np.mean(np.abs(samples) >= NEAR_PEAK * peak)) if peak > 0 else 0.0


def bandwidth(samples: Samples, rate: int) -> float:
    """Return the highest frequency (Hz) that the recording reaches; of resampled telephone speech some 3,400."""
    window = int(0.032 * rate)
    if len(samples) < window:
        return rate / 2
    frequencies, _, power = signal.spectrogram(samples, rate, nperseg=window, noverlap=window // 2, detrend=False)
    loud = np.percentile(power, LOUD_PERCENTILE, axis=1)
    bands = (frequencies // BAND_HZ).astype(int)
    levels = np.bincount(bands, weights=loud) / np.maximum(np.bincount(bands), 1)
    reached = np.flatnonzero(levels >= levels.max() * 10 ** (-BANDWIDTH_DB / 10))
    return float(min(rate / 2, (reached[-1] + 1) * BAND_HZ)) if levels.max() > 0 else 0.0


def hum(samples: Samples, rate: int, voiced_power: float) -> float:
    """Return the power of mains hum in dB re the power of speech; ``NOTHING_DB`` where there is none."""
    window = int(HUM_WINDOW_SECONDS * rate)
    if len(samples) < window or voiced_power <= 0:
        return NOTHING_DB
    frequencies, _, power = signal.spectrogram(
        samples, rate, window="hann", nperseg=window, noverlap=window * 3 // 4, detrend=False, scaling="spectrum"
    )
    steady = np.percentile(power, HUM_PERCENTILE, axis=1)
    found = max(_harmonics(frequencies, steady, mains) for mains in HUM_MAINS_HZ)
    return max(NOTHING_DB, 10 * float(np.log10(found / voiced_power))) if found > 0 else NOTHING_DB


def _harmonics(frequencies: NDArray[np.float64], power: NDArray[np.float64], mains: float) -> float:
    """Return the power of the harmonics of a mains frequency that stand out, 0 where fewer than two do."""
    found = []
    for harmonic in range(1, HUM_HARMONICS + 1):
        distance = np.abs(frequencies - harmonic * mains)
        peak = float(power[distance <= 2.0].max(initial=0.0))
        around = float(np.median(power[(distance > 5.0) & (distance <= 20.0)]))
        if peak > HUM_PROMINENCE * around:
            found.append(peak)
    return sum(found) if len(found) >= HUM_MIN_HARMONICS else 0.0


def decay_seconds(samples: Samples, rate: int) -> float | None:
    """Return in how many seconds the voice's sounds decay by 60 dB; some 0.15 in a dry room, 0.3 in one that rings.

    After Ratnam et al. 2003, Blind estimation of reverberation time: nothing decays faster than the room does. Speech
    leaves no time for long decays, so this is no reverberation time: beyond 0.3 s it grows no more. None where too
    little decays freely.
    """
    hop = int(DECAY_FRAME_SECONDS * rate)
    if len(samples) < 10 * DECAY_FRAMES * hop:
        return None
    found: list[float] = []
    for band in DECAY_BANDS_HZ:
        filtered = signal.sosfilt(signal.butter(3, band, "bandpass", fs=rate, output="sos"), samples)
        frames = filtered[: len(filtered) // hop * hop].reshape(-1, hop)
        levels = 10 * np.log10(np.square(frames).mean(axis=1) + 1e-12)
        levels = np.convolve(levels, np.ones(3) / 3, mode="valid")
        floor = np.percentile(levels, 10) + 6.0
        found += _decays(levels, floor)
    return float(np.percentile(found, DECAY_PERCENTILE)) if len(found) >= 5 else None


def _decays(levels: NDArray[np.float64], floor: float) -> list[float]:
    """Return the decay times (s per 60 dB) of all falling stretches above a floor."""
    found = []
    start = 0
    for end in range(1, len(levels) + 1):
        if end < len(levels) and levels[end] < levels[end - 1] and levels[end] > floor:
            continue
        length, fall = end - start, levels[start] - levels[end - 1]
        if length >= DECAY_FRAMES and fall >= DECAY_DB:
            slope = np.polyfit(np.arange(length) * DECAY_FRAME_SECONDS, levels[start:end], 1)[0]
            found.append(float(60.0 / -slope))
        start = end
    return found


def steady_tones(samples: Samples, rate: int) -> float | None:
    """Return how like the fine structure of the spectrum is to that 0.15 s later (correlation, mean over the clip).

    After Seyerlehner et al. 2007, Automatic Music Detection in Television Productions: notes are horizontal lines in a
    spectrogram, a voice's harmonics move with its pitch. Moments after which the sound falls do not count: a room that
    rings keeps the voice's tones then, as music does always. Some 0.05 in speech, 0.5 in music, 0.12 in such a room.
    Drums alone have no tones. None where the clip is too short.
    """
    if len(samples) < TONES_MIN_SECONDS * rate:
        return None
    window, hop = int(TONES_WINDOW_SECONDS * rate), int(TONES_HOP_SECONDS * rate)
    frequencies, _, power = signal.spectrogram(
        samples, rate, window="hann", nperseg=window, noverlap=window - hop, detrend=False, scaling="spectrum"
    )
    power = power[(frequencies >= TONES_BAND_HZ[0]) & (frequencies <= TONES_BAND_HZ[1])]  # (bins, frames)
    floor = float(np.percentile(power.mean(axis=0), 90)) * 10 ** (-TONES_FLOOR_DB / 10)
    if floor <= 0:
        return 0.0
    levels = np.log10(power + floor)
    width = 2 * round(TONES_SMOOTHED_HZ * TONES_WINDOW_SECONDS / 2) + 1  # bins
    fine = levels - ndimage.uniform_filter1d(levels, width, axis=0, mode="nearest")
    lag = round(TONES_LAG_SECONDS / TONES_HOP_SECONDS)
    earlier, later = fine[:, :-lag], fine[:, lag:]
    norms = np.sqrt(np.square(earlier).mean(axis=0) * np.square(later).mean(axis=0))
    alike = np.where(norms < TONES_LEAST, 0.0, (earlier * later).mean(axis=0) / np.maximum(norms, 1e-9))
    sound = power.mean(axis=0) + floor
    is_kept = sound[lag:] >= sound[:-lag] * 10 ** (-TONES_FALL_DB / 10)
    return float(alike[is_kept].mean()) if is_kept.any() else 0.0
