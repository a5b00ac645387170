"""Gates from what voices of several speakers reached: bounds that the next speaker's voice passes in 19 of 20 cases."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final

import numpy as np
from scipy import stats

from sovits_core.bundle.base import Gate
from voice_trainer.evaluation.metrics import METRICS

GATED: Final = ("stoi", "speakerSimilarity", "cer", "dnsmos", "durationRatio")
"""Metrics that become gates unless others are named: few, because each gate stops some good voices."""
MIN_SPEAKERS: Final = 3
PASSING: Final = 0.95  # of voices, for each gate by itself
STEP: Final = Decimal("0.01")  # bounds are rounded to it, to the lenient side
RULE: Final = (
    "each bound is the one-sided 95 % prediction bound (Student's t) for the voice of one more speaker, at least half "
    "of a single voice's 95 % interval away from the mean; durationRatio has one on each side"
)


@dataclass(frozen=True)
class Reached:
    """The scores of one speaker's voice, and half the widths of their intervals where there are some."""

    scores: Mapping[str, float]
    intervals: Mapping[str, float]


def gates_for(voices: Sequence[Reached], metrics: Sequence[str]) -> tuple[Gate, ...]:
    """Return a gate for each metric that at least three voices have."""
    return tuple(gate for metric in metrics if (gate := _gate(metric, voices)) is not None)


def passes(gates: Sequence[Gate], voice: Reached) -> bool:
    """Return whether a voice's means reach every gate; a score that it does not have is not reached."""
    return all(_reaches(gate, voice.scores.get(gate.metric, math.nan)) for gate in gates)


def left_out(voices: Sequence[Reached], metrics: Sequence[str]) -> list[bool]:
    """Return for each voice whether it passes gates that were made from all others."""
    others = [[*voices[:index], *voices[index + 1 :]] for index in range(len(voices))]
    return [passes(gates_for(rest, metrics), voice) for rest, voice in zip(others, voices, strict=True)]


def _gate(metric: str, voices: Sequence[Reached]) -> Gate | None:
    values = np.array([voice.scores[metric] for voice in voices if metric in voice.scores])
    if len(values) < MIN_SPEAKERS:
        return None
    widths = [voice.intervals[metric] for voice in voices if metric in voice.intervals]
    quantile = float(stats.t.ppf(PASSING, len(values) - 1))
    reach = quantile * float(values.std(ddof=1)) * math.sqrt(1 + 1 / len(values))
    reach = max(reach, float(np.mean(widths)) if widths else 0.0)
    mean = float(values.mean())
    low = str(Decimal(mean - reach).quantize(STEP, ROUND_FLOOR))
    high = str(Decimal(mean + reach).quantize(STEP, ROUND_CEILING))
    better = METRICS[metric].better
    return Gate.model_validate(
        {
            "metric": metric,
            "min": None if better == "lower" else low,
            "max": None if better == "higher" else high,
        }
    )


def _reaches(gate: Gate, value: float) -> bool:
    return (gate.min is None or value >= float(gate.min)) and (gate.max is None or value <= float(gate.max))
