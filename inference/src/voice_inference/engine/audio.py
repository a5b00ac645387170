"""Samples as bytes: limited peaks, 16-bit PCM, and the WAV header."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from voice_inference.errors import SynthesisFailed

Samples = NDArray[np.float32]  # (samples,), mono, nominally between -1 and 1

PEAK = 0.98  # just below full scale: decoders and resamplers overshoot a little
FULL_SCALE = 32767.0  # of 16-bit samples; -32768 is never used, so that negation stays exact
BYTES_PER_SAMPLE = 2
WAV_HEADER_BYTES = 44


def limit_peak(samples: Samples) -> Samples:
    """Return the samples, made quieter as a whole when one of them is above the peak.

    Raises:
        SynthesisFailed: there are no samples, or one is not a number.
    """
    if samples.size == 0:
        raise SynthesisFailed("the decoder returned no samples")
    peak = float(np.max(np.abs(samples)))
    if not np.isfinite(peak):
        raise SynthesisFailed("the decoder returned samples that are not numbers")
    return samples if peak <= PEAK else samples * np.float32(PEAK / peak)


def to_pcm(samples: Samples) -> bytes:
    """Return the samples as signed 16-bit little-endian; values beyond full scale are clipped, never wrapped."""
    return bytes(np.rint(np.clip(samples, -1.0, 1.0) * FULL_SCALE).astype("<i2").tobytes())


def wav_file(pcm: bytes, sample_rate: int) -> bytes:
    """Return a whole mono WAV file around the 16-bit samples."""
    return wav_header(len(pcm), sample_rate) + pcm


def wav_header(pcm_bytes: int, sample_rate: int) -> bytes:
    """Return the header of a mono 16-bit WAV file with ``pcm_bytes`` of samples."""
    form = struct.pack("<4sI4s", b"RIFF", WAV_HEADER_BYTES - 8 + pcm_bytes, b"WAVE")
    fmt = struct.pack(
        "<4sIHHIIHH", b"fmt ", 16, 1, 1, sample_rate, sample_rate * BYTES_PER_SAMPLE, BYTES_PER_SAMPLE, 16
    )
    return form + fmt + struct.pack("<4sI", b"data", pcm_bytes)
