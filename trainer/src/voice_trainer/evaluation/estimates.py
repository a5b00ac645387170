"""Means with 95 % intervals: of values by Student's t, of rates of errors by bootstrap, of shares by Wilson's score."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import stats

CONFIDENCE: Final = 0.95
RESAMPLINGS: Final = 2000
SEED: Final = 0  # of the bootstrap: the same sentences have the same interval


@dataclass(frozen=True)
class Estimate:
    """A mean over ``n`` clips or sentences with its interval; a single one has none, and ``low`` is ``high``."""

    mean: float
    low: float
    high: float
    n: int

    @property
    def half_width(self) -> float:
        """Half of the interval's width."""
        return (self.high - self.low) / 2


def mean_of(values: Sequence[float | None]) -> Estimate | None:
    """Return the mean of the defined values with Student's interval, or ``None`` without any."""
    defined = np.array([value for value in values if value is not None], dtype=np.float64)
    if not len(defined):
        return None
    mean = float(defined.mean())
    if len(defined) == 1:
        return Estimate(mean, mean, mean, 1)
    error = float(defined.std(ddof=1)) / len(defined) ** 0.5
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(defined) - 1)) * error
    return Estimate(mean, mean - half, mean + half, len(defined))


def widened(estimate: Estimate, left_out: Sequence[float]) -> Estimate:
    """Return the estimate with the error of what it was measured against: means with each reference left out.

    Tukey 1958, Bias and Confidence in Not-quite Large Samples (jackknife); both errors add in quadrature.
    """
    count = len(left_out)
    if count < 2:
        return estimate
    error = float(np.std(left_out)) * (count - 1) ** 0.5
    reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, count - 1)) * error
    half = math.hypot(estimate.half_width, reach)
    return Estimate(estimate.mean, estimate.mean - half, estimate.mean + half, estimate.n)


def rate_of(wrong: Sequence[int], of: Sequence[int]) -> Estimate | None:
    """Return errors per word (or character) over all sentences; sentences are drawn again, since their errors cluster.

    Efron 1979, Bootstrap Methods: Another Look at the Jackknife, percentile interval.

    Args:
        wrong: errors in each sentence.
        of: its words or characters; sentences without any do not count.
    """
    pairs = np.array([(bad, size) for bad, size in zip(wrong, of, strict=True) if size], dtype=np.float64)
    if not len(pairs):
        return None
    mean = float(pairs[:, 0].sum() / pairs[:, 1].sum())
    if len(pairs) == 1:
        return Estimate(mean, mean, mean, 1)
    drawn = pairs[np.random.default_rng(SEED).integers(0, len(pairs), (RESAMPLINGS, len(pairs)))].sum(axis=1)
    low, high = np.percentile(drawn[:, 0] / drawn[:, 1], [50 * (1 - CONFIDENCE), 50 * (1 + CONFIDENCE)])
    if not pairs[:, 0].any():  # nothing can be drawn but none; chance is then that of single words
        high = stats.binomtest(0, int(pairs[:, 1].sum())).proportion_ci(CONFIDENCE, method="wilson").high
    return Estimate(mean, min(mean, float(low)), max(mean, float(high)), len(pairs))


def share_of(cases: Sequence[bool]) -> Estimate | None:
    """Return the share of true cases; its interval has a width also where none or all are true.

    Wilson 1927, Probable Inference, the Law of Succession, and Statistical Inference.
    """
    if not cases:
        return None
    count = sum(cases)
    interval = stats.binomtest(count, len(cases)).proportion_ci(CONFIDENCE, method="wilson")
    return Estimate(count / len(cases), float(interval.low), float(interval.high), len(cases))
