"""The bounds a voice must reach before it is published."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from sovits_core.bundle.base import DEFAULT_GATES
from sovits_core.bundle.base import Gate as BaseGate
from voice_trainer.errors import Refused
from voice_trainer.job.document import Gate

METRICS = ("pesq", "stoi")  # what evaluate measures
DEFAULTS = tuple(Gate.model_validate(gate.model_dump()) for gate in DEFAULT_GATES)

Origin = Literal["spec", "base", "default"]


@dataclass(frozen=True)
class Verdict:
    """One gate and its score; a missing score never passes."""

    gate: Gate
    value: float | None

    @property
    def passed(self) -> bool:
        """Whether the score lies within the bounds; the printed value decides, so that report and verdict agree."""
        if self.value is None or not math.isfinite(self.value):
            return False
        value = Decimal(decimal(self.value))
        return (self.gate.min is None or value >= self.gate.min) and (self.gate.max is None or value <= self.gate.max)

    def document(self) -> dict[str, Any]:
        """Return the verdict as summaries and reports show it."""
        bounds = {name: str(bound) for name in ("min", "max") if (bound := getattr(self.gate, name)) is not None}
        value = "" if self.value is None else decimal(self.value)
        return {"metric": self.gate.metric, **bounds, "value": value, "passed": self.passed}


def chosen_gates(
    asked: Sequence[Gate] | None, base: Sequence[BaseGate], minimum: Sequence[Gate] = ()
) -> tuple[tuple[Gate, ...], Origin]:
    """Return the user's gates, or the base's, or the defaults, and their origin; none is weaker than ``minimum``.

    Raises:
        Refused: a gate names a metric that nothing measures, or has no bound.
    """
    gates: tuple[Gate, ...] = DEFAULTS
    origin: Origin = "default"
    if asked is not None:
        gates, origin = tuple(asked), "spec"
    elif base:
        gates, origin = tuple(Gate.model_validate(gate.model_dump()) for gate in base), "base"
    gates = _raised(gates, minimum)
    for gate in gates:
        if gate.metric not in METRICS:
            raise Refused(
                f"evaluation.gates names the metric {gate.metric[:40]!r}; known metrics: {', '.join(METRICS)}",
                reason="UnknownMetric",
            )
        if gate.min is None and gate.max is None:
            raise Refused(f"the gate on {gate.metric} has neither min nor max; give one", reason="GateWithoutBound")
    return gates, origin


def _raised(gates: Sequence[Gate], minimum: Sequence[Gate]) -> tuple[Gate, ...]:
    """Return the gates, each at least as strict as the one of ``minimum`` with its metric and bound, and the others."""
    floors = {(floor.metric, floor.min is None): floor for floor in minimum}
    raised = [_stricter(gate, floors.pop((gate.metric, gate.min is None), gate)) for gate in gates]
    return (*raised, *floors.values())


def _stricter(gate: Gate, floor: Gate) -> Gate:
    if gate.min is not None and floor.min is not None:
        return gate if gate.min >= floor.min else floor
    if gate.max is not None and floor.max is not None:
        return gate if gate.max <= floor.max else floor
    return gate


def judge(gates: Sequence[Gate], scores: Mapping[str, float]) -> tuple[Verdict, ...]:
    """Compare every gate with its score."""
    return tuple(Verdict(gate, scores.get(gate.metric)) for gate in gates)


def decimal(value: float) -> str:
    """Print a score as people compare it."""
    return f"{value:.3f}"
