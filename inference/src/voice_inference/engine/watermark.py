"""A mark in the sound itself that is not heard and survives encoding: put in and found by networks in ONNX.

The networks are those of Perth (https://github.com/resemble-ai/Perth, MIT): one changes the magnitudes of a
spectrogram below 2 kHz where the sound hides it, the other one says whether a spectrogram was changed so. They carry
no message: what is found is that there is a mark. `make watermark` writes both from the weights in its wheel.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from voice_inference.engine.audio import Samples
from voice_inference.errors import InvalidSettings, SynthesisFailed

RATE: Final = 32_000  # Hz, that the networks were trained at
WINDOW: Final = 2048  # samples
HOP: Final = 320  # samples, 10 ms
BINS: Final = WINDOW // 2 + 1
LEAST_DB: Final = -180.0  # a level of 0 for the networks; 15 dB are 1
LEVEL_DB: Final = 195.0
FILES: Final = ("encoder.onnx", "decoder.onnx")
MARKED: Final = 0.6  # of 94 recordings the highest has 0.51, of 20 marked sentences the lowest 0.65 (0073)

_HANN: Final = np.hanning(WINDOW + 1)[:-1].astype(np.float32)


class Watermark:
    """The two networks in a folder."""

    def __init__(self, folder: Path, *, threads: int = 1) -> None:
        """Load them.

        Raises:
            InvalidSettings: one is missing, or is not what ``make watermark`` writes.
        """
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        self._networks = [_load(folder / name, options) for name in FILES]

    def mark(self, samples: Samples, rate: int) -> Samples:
        """Return float32 (samples,) with the mark in them, as many as were given.

        Raises:
            SynthesisFailed: they have another rate than the networks.
        """
        if rate != RATE:
            raise SynthesisFailed(f"the watermark is for {RATE} Hz, and this base speaks at {rate} Hz")
        if not samples.any():
            return samples
        spectrum = _spectrum(samples)
        (changed,) = self._networks[0].run(None, {"levels": _levels(spectrum)[None]})
        magnitudes = 10.0 ** ((changed[0] * LEVEL_DB + LEAST_DB) / 20)
        return _sound(magnitudes * np.exp(1j * np.angle(spectrum)), samples.size)

    def score(self, samples: Samples) -> float:
        """Return how sure it is that float32 (samples,) at RATE have the mark, from 0 to 1."""
        if not samples.any():
            return 0.0
        (found,) = self._networks[1].run(None, {"levels": _levels(_spectrum(samples))[None]})
        return float(np.clip(found[0], 0.0, 1.0))


def _load(path: Path, options: ort.SessionOptions) -> Any:
    try:
        session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has no common class of its own
        raise InvalidSettings(
            f"the watermark's {path} cannot be loaded: {error}; `make watermark` writes it"
        ) from error
    shapes = {one.name: one.shape[:2] for one in session.get_inputs()}
    if shapes != {"levels": [1, BINS]}:
        raise InvalidSettings(f"the watermark's {path} takes {shapes}, not levels; `make watermark` writes it")
    return session


def _spectrum(samples: Samples) -> NDArray[np.complex64]:
    """Return complex (BINS, frames), the first frame around the first sample."""
    padded = np.pad(samples, WINDOW // 2 + HOP)[HOP:]  # the end is whole
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    return np.fft.rfft(frames * _HANN, axis=1).T.astype(np.complex64)


def _levels(spectrum: NDArray[np.complex64]) -> NDArray[np.float32]:
    decibels = 20 * np.log10(np.maximum(np.abs(spectrum), 10 ** (LEAST_DB / 20)))
    return ((decibels - LEAST_DB) / LEVEL_DB).astype(np.float32)


def _sound(spectrum: NDArray[np.complex64], size: int) -> Samples:
    """Return float32 (size,) by overlap and add, weighted as the least squares of all frames."""
    frames = np.fft.irfft(spectrum.T, axis=1) * _HANN
    whole, weights = np.zeros((2, WINDOW + HOP * (len(frames) - 1)))
    for number, frame in enumerate(frames):
        whole[number * HOP : number * HOP + WINDOW] += frame
        weights[number * HOP : number * HOP + WINDOW] += _HANN**2
    sound = (whole / np.maximum(weights, 1e-6))[WINDOW // 2 :][:size]
    return np.pad(sound, (0, size - sound.size)).astype(np.float32)
