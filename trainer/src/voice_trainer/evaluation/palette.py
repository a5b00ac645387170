"""The colours of spectrograms: 256 steps from near black to light yellow that look equally far apart."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

STEPS: Final = 256
LIGHTNESS: Final = (0.10, 0.97)
HUES: Final = (280.0, 465.0)  # degrees, from blue over purple and red to yellow
MOST_CHROMA: Final = 0.21
FINE: Final = 2048  # points of the path before it is divided into equal steps

# Björn Ottosson 2020, A perceptual color space for image processing (OKLab): to cone responses, and on to linear sRGB.
TO_CONES: Final = np.array(
    [[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728], [1, -0.0894841775, -1.2914855480]]
)
TO_LINEAR: Final = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)

Colours = NDArray[Any]


@cache
def palette() -> Colours:
    """Return the colours as uint8 (256, 3), the quietest first."""
    path = _path()
    lengths = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    even = np.linspace(0.0, lengths[-1], STEPS)
    steps = np.stack([np.interp(even, lengths, path[:, axis]) for axis in range(3)], axis=1)
    return np.round(255 * _gamma(np.clip(_linear(steps), 0, 1))).astype(np.uint8)


def _path() -> Colours:
    """Return the path in OKLab (FINE, 3): lightness and hue rise evenly, chroma is as much as sRGB has, up to a limit.

    Chroma falls to nothing at both ends, so that the quietest is black and the loudest nearly white.
    """
    along = np.linspace(0.0, 1.0, FINE)
    lightness = LIGHTNESS[0] + (LIGHTNESS[1] - LIGHTNESS[0]) * along
    hue = np.deg2rad(HUES[0] + (HUES[1] - HUES[0]) * along)
    direction = np.stack([np.cos(hue), np.sin(hue)], axis=1)
    wanted = MOST_CHROMA * np.minimum(1.0, np.minimum(along / 0.3, (1.03 - along) / 0.3))
    low, high = np.zeros(FINE), wanted.copy()
    for _ in range(20):  # bisection: the most chroma that is still a colour of sRGB
        middle = (low + high) / 2
        colours = _linear(np.column_stack([lightness, middle[:, None] * direction]))
        inside = ((colours >= 0) & (colours <= 1)).all(axis=1)
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    return np.column_stack([lightness, low[:, None] * direction])


def _linear(oklab: Colours) -> Colours:
    linear: Colours = (oklab @ TO_CONES.T) ** 3 @ TO_LINEAR.T
    return linear


def _gamma(linear: Colours) -> Colours:
    """Return sRGB, 0 to 1 (IEC 61966-2-1)."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
