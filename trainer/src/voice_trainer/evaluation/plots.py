"""Pictures for the report, made without a plotting library: curves as SVG, spectrograms as PNG."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from voice_trainer.recordings.audio import ANALYSIS_RATE, Samples

Curve = Sequence[tuple[float, float]]

WIDTH, HEIGHT, MARGIN = 560, 200, 44  # pixels
COLOURS = ("#1f5fa8", "#c2571a", "#2f7d4f", "#7a4aa0")
POINTS = 400  # a curve of more points looks the same
WINDOW = 512  # samples: 32 ms at 16 kHz
FLOOR = -80.0  # dB under the loudest cell


def curves_svg(title: str, curves: Mapping[str, Curve]) -> str:
    """Draw curves over a common pair of axes, as one SVG element."""
    drawn = {name: _thinned(curve) for name, curve in curves.items() if len(curve)}
    if not drawn:
        return ""
    xs, ys = (np.array([point[axis] for curve in drawn.values() for point in curve]) for axis in (0, 1))
    left, right, low, high = float(xs.min()), float(xs.max()), float(ys.min()), float(ys.max())
    across = (WIDTH - 2 * MARGIN) / (right - left or 1.0)
    up = (HEIGHT - 2 * MARGIN) / (high - low or 1.0)
    parts = [
        f'<svg role="img" aria-label="{escape(title)}" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}">',
        f'<text x="{MARGIN}" y="16" class="title">{escape(title)}</text>',
        f'<path d="M{MARGIN} {MARGIN}V{HEIGHT - MARGIN}H{WIDTH - MARGIN}" class="axis"/>',
        _label(MARGIN - 4, MARGIN + 4, f"{high:.3g}", "end"),
        _label(MARGIN - 4, HEIGHT - MARGIN, f"{low:.3g}", "end"),
        _label(MARGIN, HEIGHT - MARGIN + 16, f"step {left:g}", "start"),
        _label(WIDTH - MARGIN, HEIGHT - MARGIN + 16, f"{right:g}", "end"),
    ]
    for number, (name, curve) in enumerate(drawn.items()):
        colour = COLOURS[number % len(COLOURS)]
        points = " ".join(
            f"{MARGIN + (x - left) * across:.1f},{HEIGHT - MARGIN - (y - low) * up:.1f}" for x, y in curve
        )
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        parts.append(
            f'<text x="{WIDTH - MARGIN}" y="{16 + 14 * number}" text-anchor="end" fill="{colour}">{escape(name)}</text>'
        )
    return "".join([*parts, "</svg>"])


def spectrogram_image(samples: Samples, label: str) -> str:
    """Draw 16 kHz samples as an inline PNG of time (16 ms a column) and frequency (0 to 8 kHz), louder is darker."""
    _, _, spectrum = signal.stft(samples, ANALYSIS_RATE, nperseg=WINDOW, noverlap=WINDOW // 2)
    decibels = 20.0 * np.log10(np.abs(spectrum) + 1e-9)
    relative = np.clip((decibels - decibels.max()) / -FLOOR, -1.0, 0.0)  # 0 is the loudest cell
    grey = np.asarray(-relative * 255.0, dtype=np.uint8)[::-1]
    data = base64.b64encode(_png(grey)).decode()
    return f'<img alt="spectrogram: {escape(label)}" src="data:image/png;base64,{data}">'


def _thinned(curve: Curve) -> Curve:
    return curve[:: max(1, len(curve) // POINTS)]


def _label(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(text)}</text>'


def _png(grey: NDArray[np.uint8]) -> bytes:
    """Encode an 8-bit grey image (rows, columns) by the PNG specification's smallest subset."""
    rows, columns = grey.shape
    scanlines = np.zeros((rows, columns + 1), dtype=np.uint8)  # each begins with its filter: 0, none
    scanlines[:, 1:] = grey
    header = struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(scanlines.tobytes(), 9)), (b"IEND", b""))
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body
