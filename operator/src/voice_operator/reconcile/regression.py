"""Whether a revision is worse than another: a score that fell by more than both 95 % intervals explain."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from voice_operator.api.evaluation import BOTH_BOUNDS, LESS_IS_BETTER, MORE_IS_BETTER, NEED_RECOGNISER
from voice_operator.reconcile.observed import ObservedRevision

# How much better a score is than others, by metric.
GOODNESS: dict[str, Callable[[float], float]] = {
    **dict.fromkeys(MORE_IS_BETTER, lambda value: value),
    **dict.fromkeys(LESS_IS_BETTER, lambda value: -value),
    BOTH_BOUNDS: lambda value: -abs(value - 1.0),
}


@dataclass(frozen=True)
class Regression:
    """A score of a new revision that is worse than the active one's."""

    metric: str
    new: str
    active: str
    margin: float  # a difference up to this one may be chance

    def __str__(self) -> str:
        return f"{self.metric} is {self.new} instead of {self.active} (chance explains {self.margin:.3f})"


def regressions_between(new: ObservedRevision, active: ObservedRevision) -> tuple[Regression, ...]:
    """Return the scores in which ``new`` is worse than ``active``.

    The half widths of the intervals of two independent means add in quadrature. Without both of them a score says
    nothing, and scores of another language, base, recogniser or way of measuring are not comparable.
    """
    if not are_comparable(new, active):
        return ()
    found = []
    for metric, goodness in GOODNESS.items():
        if metric in NEED_RECOGNISER and new.recogniser != active.recogniser:
            continue
        loss = goodness(_number(active.scores.get(metric))) - goodness(_number(new.scores.get(metric)))
        margin = math.hypot(_number(active.intervals.get(metric)), _number(new.intervals.get(metric)))
        if loss > margin:
            found.append(Regression(metric, new.scores[metric], active.scores[metric], margin))
    return tuple(found)


def are_comparable(new: ObservedRevision, active: ObservedRevision) -> bool:
    """Return whether scores of the two are on one scale, and there is one that both have with its interval."""
    shared = new.scores.keys() & active.scores.keys() & new.intervals.keys() & active.intervals.keys()
    return _scale(new) == _scale(active) and bool(shared & GOODNESS.keys())


def _number(text: str | None) -> float:
    """Return a decimal string's value; NaN, for which no comparison holds, where there is none."""
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan


def _scale(revision: ObservedRevision) -> tuple[str, str, int]:
    return revision.language, revision.base_identity, revision.evaluation_version
