"""How close a resynthesised clip comes to its recording: PESQ and STOI."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pesq
import pystoi
from scipy import signal

from voice_trainer.evaluation.estimates import Estimate, mean_of
from voice_trainer.recordings.audio import ANALYSIS_RATE
from voice_trainer.recordings.decoding import Samples

SHIFT_SECONDS = 0.02  # the largest lag that alignment removes
PESQ_SECONDS = 0.3  # below this PESQ has no utterance to measure
STOI_SECONDS = 0.1  # below this pystoi fails instead of warning


@dataclass(frozen=True)
class ClipScores:
    """PESQ-WB (-0.5 to 4.64) and STOI (0 to 1) of one clip; ``None`` where the measure is not defined for it."""

    pesq: float | None
    stoi: float | None


def mean_scores(clips: Sequence[ClipScores]) -> dict[str, Estimate]:
    """Return the mean of each metric over the clips, without metrics that no clip has."""
    found = {
        "pesq": mean_of([clip.pesq for clip in clips]),
        "stoi": mean_of([clip.stoi for clip in clips]),
    }
    return {name: value for name, value in found.items() if value is not None}


def compare(recording: Samples, resynthesis: Samples) -> ClipScores:
    """Align two 16 kHz signals by at most 20 ms, trim them to the same length and score them."""
    recording, resynthesis = align(recording, resynthesis)
    return ClipScores(_pesq(recording, resynthesis), _stoi(recording, resynthesis))


def align(recording: Samples, resynthesis: Samples) -> tuple[Samples, Samples]:
    """Shift by the lag with the highest cross-correlation within +-20 ms, then cut both to the shorter length."""
    if not len(recording) or not len(resynthesis):
        return recording[:0], resynthesis[:0]
    reach = int(SHIFT_SECONDS * ANALYSIS_RATE)
    correlation = signal.correlate(resynthesis, recording, mode="full", method="fft")
    lags = signal.correlation_lags(len(resynthesis), len(recording), mode="full")
    near = np.abs(lags) <= reach
    lag = int(lags[near][np.argmax(correlation[near])])
    if lag > 0:  # the resynthesis is late
        resynthesis = resynthesis[lag:]
    else:
        recording = recording[-lag:]
    length = min(len(recording), len(resynthesis))
    return recording[:length], resynthesis[:length]


def _pesq(recording: Samples, resynthesis: Samples) -> float | None:
    if len(recording) < PESQ_SECONDS * ANALYSIS_RATE or not resynthesis.any():
        return None
    try:
        return float(pesq.pesq(ANALYSIS_RATE, recording, resynthesis, "wb"))
    except pesq.PesqError:  # it found no utterance, or nothing to align
        return None


def _stoi(recording: Samples, resynthesis: Samples) -> float | None:
    if len(recording) < STOI_SECONDS * ANALYSIS_RATE:
        return None
    with warnings.catch_warnings():
        # pystoi warns, and returns 1e-5, when fewer than 30 frames of the recording are not silent.
        warnings.simplefilter("error", RuntimeWarning)
        try:
            return float(pystoi.stoi(recording, resynthesis, ANALYSIS_RATE, extended=False))
        except RuntimeWarning:
            return None
