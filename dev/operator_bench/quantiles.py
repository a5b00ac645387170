"""Quantiles of measured seconds, and of Prometheus histograms."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence


def quantile(values: Sequence[float], fraction: float) -> float:
    """The smallest value that at least this fraction of all values does not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(fraction * len(ordered)) - 1)]


def histogram_quantile(buckets: Mapping[float, float], fraction: float) -> float:
    """The upper bound of the bucket that holds this quantile; ``buckets`` are cumulative, by their bound.

    A bound and no interpolation: what is told is never better than what was measured. Without observations: nan.
    """
    total = max(buckets.values(), default=0.0)
    if not total:
        return math.nan
    return next(bound for bound, count in sorted(buckets.items()) if count >= fraction * total)
