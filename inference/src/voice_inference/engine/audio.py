"""Samples as bytes: clipped peaks and 16-bit PCM."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from voice_inference.errors import SynthesisFailed

Samples = NDArray[np.float32]  # (samples,), mono, nominally between -1 and 1

PEAK = 0.98  # just below full scale: decoders and resamplers overshoot a little
FULL_SCALE = 32767.0  # of 16-bit samples; -32768 is never used, so that negation stays exact


def limit_peak(samples: Samples) -> Samples:
    """Return the samples clipped just below full scale; the networks end in a tanh, so that is 0.2 dB at most.

    Raises:
        SynthesisFailed: there are no samples, or one is not a number.
    """
    if samples.size == 0:
        raise SynthesisFailed("the decoder returned no samples")
    if not np.isfinite(samples).all():
        raise SynthesisFailed("the decoder returned samples that are not numbers")
    return np.clip(samples, -PEAK, PEAK)


def to_pcm(samples: Samples) -> bytes:
    """Return the samples as signed 16-bit little-endian; values beyond full scale are clipped, never wrapped."""
    return bytes(np.rint(np.clip(samples, -1.0, 1.0) * FULL_SCALE).astype("<i2").tobytes())
