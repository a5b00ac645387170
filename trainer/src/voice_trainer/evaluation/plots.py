"""Plots of the report: curves as coordinates that the template draws as SVG, spectrograms as PNG."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import signal

from voice_trainer.recordings.audio import ANALYSIS_RATE
from voice_trainer.recordings.decoding import Samples

Curve = Sequence[tuple[float, float]]

POINTS = 400  # a curve of more points looks the same
WIDTH, HEIGHT = 480, 160  # of the plotted area, in SVG units
WINDOW = 512  # samples: 32 ms at 16 kHz
FLOOR = -80.0  # dB below the loudest cell


@dataclass(frozen=True)
class Polyline:
    """One curve in the coordinates of the plotted area, y downwards."""

    name: str
    points: str
    """As SVG's attribute ``points`` takes them."""


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


def plot_curves(title: str, curves: Mapping[str, Curve]) -> CurvePlot:
    """Scale curves to the plotted area."""
    drawn = {name: _thinned(curve) for name, curve in curves.items() if len(curve)}
    if not drawn:
        return CurvePlot(title, (), "", "", "", "")
    xs, ys = (np.array([point[axis] for curve in drawn.values() for point in curve]) for axis in (0, 1))
    left, right, low, high = float(xs.min()), float(xs.max()), float(ys.min()), float(ys.max())
    across, up = WIDTH / (right - left or 1.0), HEIGHT / (high - low or 1.0)
    lines = tuple(
        Polyline(name, " ".join(f"{(x - left) * across:.1f},{HEIGHT - (y - low) * up:.1f}" for x, y in curve))
        for name, curve in drawn.items()
    )
    return CurvePlot(title, lines, f"{left:g}", f"{right:g}", f"{low:.3g}", f"{high:.3g}")


def spectrogram_png(samples: Samples) -> bytes:
    """Draw 16 kHz samples as a grey PNG of time (16 ms a column) and frequency (0 to 8 kHz), louder is darker."""
    _, _, spectrum = signal.stft(samples, ANALYSIS_RATE, nperseg=WINDOW, noverlap=WINDOW // 2)
    decibels = 20.0 * np.log10(np.abs(spectrum) + 1e-9)
    relative = np.clip((decibels - decibels.max()) / -FLOOR, -1.0, 0.0)  # 0 is the loudest cell
    grey = np.asarray(-relative * 255.0, dtype=np.uint8)[::-1]
    target = io.BytesIO()
    Image.fromarray(grey).save(target, "PNG", optimize=True)
    return target.getvalue()


def _thinned(curve: Curve) -> Curve:
    return curve[:: max(1, len(curve) // POINTS)]
