"""Plots of the report: curves as coordinates that the template draws as SVG, spectrograms as PNG."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import signal

from voice_trainer.recordings.audio import ANALYSIS_RATE
from voice_trainer.recordings.decoding import Samples

WIDTH, HEIGHT = 480, 160  # of the plotted area, in SVG units
WINDOW = 512  # samples: 32 ms at 16 kHz
FLOOR = -80.0  # dB below the loudest cell


@dataclass(frozen=True)
class Polyline:
    """One curve in the coordinates of the plotted area, y downwards."""

    name: str
    points: str
    """As SVG's attribute ``points`` takes them."""
    band: str = ""
    """A polygon from the lowest to the highest values around the curve; empty: none."""


@dataclass(frozen=True)
class CurvePlot:
    """Curves over a common pair of axes; without any curve there is nothing to draw."""

    title: str
    lines: tuple[Polyline, ...]
    left: str
    right: str
    low: str
    high: str
    width: int = WIDTH
    height: int = HEIGHT


@dataclass(frozen=True)
class Epoch:
    """The values of one epoch's steps."""

    number: int
    mean: float
    low: float
    high: float


def plot_epochs(title: str, name: str, epochs: Sequence[Epoch]) -> CurvePlot:
    """Plot the mean of each epoch, in a band from the lowest to the highest step."""
    if not epochs:
        return CurvePlot(title, (), "", "", "", "")
    left, right = epochs[0].number, epochs[-1].number
    low, high = min(one.low for one in epochs), max(one.high for one in epochs)
    across, up = WIDTH / (right - left or 1), HEIGHT / (high - low or 1.0)

    def point(number: int, value: float) -> str:
        return f"{(number - left) * across:.1f},{HEIGHT - (value - low) * up:.1f}"

    upper = [point(one.number, one.high) for one in epochs]
    lower = [point(one.number, one.low) for one in reversed(epochs)]
    line = Polyline(name, " ".join(point(one.number, one.mean) for one in epochs), " ".join(upper + lower))
    return CurvePlot(title, (line,), f"{left}", f"{right}", f"{low:.3g}", f"{high:.3g}")


def epochs_of(steps: Iterable[tuple[int, float]]) -> list[Epoch]:
    """Return the mean and the extremes of each epoch of (epoch, value) pairs."""
    values: dict[int, list[float]] = {}
    for epoch, value in steps:
        values.setdefault(epoch, []).append(value)
    return [Epoch(number, float(np.mean(found)), min(found), max(found)) for number, found in sorted(values.items())]


def spectrogram_png(samples: Samples) -> bytes:
    """Draw 16 kHz samples as a grey PNG of time (16 ms a column) and frequency (0 to 8 kHz), louder is darker."""
    _, _, spectrum = signal.stft(samples, ANALYSIS_RATE, nperseg=WINDOW, noverlap=WINDOW // 2)
    decibels = 20.0 * np.log10(np.abs(spectrum) + 1e-9)
    relative = np.clip((decibels - decibels.max()) / -FLOOR, -1.0, 0.0)  # 0 is the loudest cell
    grey = np.asarray(-relative * 255.0, dtype=np.uint8)[::-1]
    target = io.BytesIO()
    Image.fromarray(grey).save(target, "PNG", optimize=True)
    return target.getvalue()
