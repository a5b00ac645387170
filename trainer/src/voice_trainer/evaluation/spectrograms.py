"""Spectrograms of the report: PNGs with a colour map, and their axes of seconds and kHz."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import signal

from voice_trainer.evaluation.axes import Axis, Tick
from voice_trainer.evaluation.palette import palette
from voice_trainer.recordings.audio import ANALYSIS_RATE
from voice_trainer.recordings.decoding import Samples

WINDOW: Final = 512  # samples: 32 ms at 16 kHz
HOP: Final = 160  # samples: 10 ms
FLOOR: Final = -80.0  # dB below the loudest cell
NYQUIST_KHZ: Final = ANALYSIS_RATE / 2000
SILENCE: Final = 1e-9


@dataclass(frozen=True)
class Spectrogram:
    """A picture of time (10 ms a column) and frequency (0 to 8 kHz, upwards), and what stands at its edges."""

    png: bytes
    seconds: float
    times: tuple[Tick, ...]
    frequencies: tuple[Tick, ...]


def spectrograms(sounds: Sequence[Samples]) -> tuple[Spectrogram, ...]:
    """Draw 16 kHz samples; the loudest cell of them all has the lightest colour, 80 dB below it is the darkest."""
    decibels = [_decibels(samples) for samples in sounds]
    loudest = max((float(one.max()) for one in decibels), default=0.0)
    frequencies = Axis(0.0, NYQUIST_KHZ, upwards=True).ticks(5, "kHz")
    found = []
    for samples, one in zip(sounds, decibels, strict=True):
        seconds = max(len(samples), 1) / ANALYSIS_RATE
        found.append(Spectrogram(_png(one - loudest), seconds, Axis(0.0, seconds).ticks(6, "s"), frequencies))
    return tuple(found)


def _decibels(samples: Samples) -> NDArray[Any]:
    """Return (bins, columns), the lowest frequency first; what is shorter than a window is filled up with silence."""
    padded = np.pad(samples, (0, max(0, WINDOW - len(samples))))
    _, _, spectrum = signal.stft(padded, ANALYSIS_RATE, nperseg=WINDOW, noverlap=WINDOW - HOP)
    levels: NDArray[Any] = 20.0 * np.log10(np.abs(spectrum) + SILENCE)
    return levels


def legend_png() -> bytes:
    """Draw the colours from left to right, the quietest first."""
    return _png(np.linspace(FLOOR, 0.0, 256)[None])


def _png(relative: NDArray[Any]) -> bytes:
    """Draw decibels below the loudest."""
    levels = np.clip(1.0 - relative / FLOOR, 0.0, 1.0)
    image = Image.fromarray(np.round(levels * 255.0).astype(np.uint8)[::-1])
    coloured = image.convert("P")
    coloured.putpalette(palette().tobytes())
    target = io.BytesIO()
    coloured.save(target, "PNG", optimize=True)
    return target.getvalue()
