"""The result of a calibration as a table of plain text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sovits_core.bundle.base import Gate
from voice_trainer.calibration.bounds import passes
from voice_trainer.calibration.speakers import CalibratedVoice
from voice_trainer.evaluation.metrics import METRICS

HEADS = ("metric", "mean", "lowest", "highest", "base alone", "gate", "passed")


def table(voices: Sequence[CalibratedVoice], gates: Sequence[Gate]) -> str:
    """Return a line for each metric that was measured."""
    by_metric = {gate.metric: gate for gate in gates}
    rows = [HEADS]
    for metric in METRICS:
        values = [one.voice.scores[metric] for one in voices if metric in one.voice.scores]
        alone = [one.base_alone.scores[metric] for one in voices if metric in one.base_alone.scores]
        if not values:
            continue
        gate = by_metric.get(metric)  # type: ignore[call-overload]
        passed = "" if gate is None else f"{sum(passes([gate], one.voice) for one in voices)} of {len(voices)}"
        numbers = (f"{number:.3f}" for number in (np.mean(values), min(values), max(values)))
        rows.append((metric, *numbers, f"{np.mean(alone):.3f}" if alone else "", _bounds(gate), passed))  # type: ignore[arg-type]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADS))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(lines) + "\n"


def _bounds(gate: Gate | None) -> str:
    if gate is None:
        return ""
    parts = [f">= {gate.min}"] if gate.min is not None else []
    return ", ".join([*parts, *([f"<= {gate.max}"] if gate.max is not None else [])])
