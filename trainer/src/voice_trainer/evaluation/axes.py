"""Axes of the report's plots: marks at round numbers, placed in percent so that a plot may have any width."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

ROUND: Final = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True)
class Tick:
    """A mark on an axis."""

    label: str
    percent: str
    """From the left, or from the top."""


@dataclass(frozen=True)
class Axis:
    """The range of an axis, in the unit of its values."""

    low: float
    high: float
    upwards: bool = False
    """A vertical one: its low end is at the bottom."""

    def place(self, value: float) -> float:
        """Return where a value is, in percent from the left or from the top."""
        share = (value - self.low) / (self.high - self.low)
        return 100 * (1 - share if self.upwards else share)

    def ticks(self, most: int, unit: str = "", *, whole: bool = False) -> tuple[Tick, ...]:
        """Return at most ``most`` marks at round numbers; the unit stands at the highest one."""
        step = _step(self.high - self.low, most)
        if whole:
            step = max(1.0, math.ceil(step))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        decimals = max(0, -math.floor(math.log10(step) + 1e-9)) + (1 if f"{step:g}".endswith("25") else 0)
        values = [number * step for number in range(first, last + 1)]
        texts = [f"{value:.{decimals}f}" for value in values]
        if unit and texts:
            texts[-1] = f"{texts[-1]} {unit}"
        return tuple(Tick(text, f"{self.place(value):.2f}") for text, value in zip(texts, values, strict=True))


def axis_around(low: float, high: float) -> Axis:
    """Return a vertical axis that holds these values with a little room; values that are all alike get some too."""
    room = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    return Axis(low - room, high + room, upwards=True)


def _step(span: float, most: int) -> float:
    """Return the smallest round step with at most ``most`` marks in a span."""
    least = span / max(1, most - 1)
    power = 10.0 ** math.floor(math.log10(least))
    return next(one * power for one in ROUND if one * power >= least * (1 - 1e-9))
