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
from voice_trainer.evaluation.estimates import Estimate
from voice_trainer.evaluation.metrics import METRICS, is_measured
from voice_trainer.job.document import Gate
from voice_trainer.recognition.recogniser import BUILT_IN, is_recognised

DEFAULTS = tuple(Gate.model_validate(gate.model_dump()) for gate in DEFAULT_GATES)

Origin = Literal["spec", "base", "default"]
Outcome = Literal["passed", "failed", "inconclusive"]


@dataclass(frozen=True)
class Verdict:
    """One gate and its score; a missing score never passes."""

    gate: Gate
    estimate: Estimate | None

    @property
    def passed(self) -> bool:
        """Whether the mean lies within the bounds; the printed value decides, so that report and verdict agree."""
        return self.estimate is not None and self._holds(self.estimate.mean)

    @property
    def outcome(self) -> Outcome:
        """Whether the whole interval says so; an interval that straddles a bound leaves it to the mean.

        A single clip or sentence has no interval, and nothing follows from it.
        """
        found = self.estimate
        if found is None or not math.isfinite(found.mean):
            return "failed"
        if found.n > 1 and self._holds(found.low) and self._holds(found.high):
            return "passed"
        low, high = Decimal(decimal(found.low)), Decimal(decimal(found.high))
        outside = (self.gate.min is not None and high < self.gate.min) or (
            self.gate.max is not None and low > self.gate.max
        )
        return "failed" if found.n > 1 and outside else "inconclusive"

    def document(self) -> dict[str, Any]:
        """Return the verdict as summaries and reports show it."""
        bounds = {name: str(bound) for name in ("min", "max") if (bound := getattr(self.gate, name)) is not None}
        value = "" if self.estimate is None else decimal(self.estimate.mean)
        return {
            "metric": self.gate.metric,
            **bounds,
            "value": value,
            "verdict": self.outcome,
            "passed": self.passed,
        }

    def _holds(self, value: float) -> bool:
        if not math.isfinite(value):
            return False
        printed = Decimal(decimal(value))
        return (self.gate.min is None or printed >= self.gate.min) and (
            self.gate.max is None or printed <= self.gate.max
        )


def chosen_gates(
    asked: Sequence[Gate] | None,
    base: Sequence[BaseGate],
    minimum: Sequence[Gate] = (),
    *,
    language: str,
    has_folder: bool = False,
) -> tuple[tuple[Gate, ...], Origin]:
    """Return the user's gates, or the base's, or the defaults, and their origin; none is weaker than ``minimum``.

    A base's gate on what cannot be measured in the language does not apply. ``has_folder``: the installation has a
    recogniser of the language.

    Raises:
        Refused: a gate names a metric that nothing measures, or has no bound.
    """
    recognised = is_recognised(language, has_folder=has_folder)
    gates: tuple[Gate, ...] = DEFAULTS
    origin: Origin = "default"
    if asked is not None:
        gates, origin = tuple(asked), "spec"
    elif base:
        known = (Gate.model_validate(gate.model_dump()) for gate in base)
        gates, origin = tuple(gate for gate in known if is_measured(gate.metric, recognised=recognised)), "base"
    gates = _raised(gates, minimum)
    for gate in gates:
        _require_measurable(gate, language, recognised=recognised)
    return gates, origin


def _require_measurable(gate: Gate, language: str, *, recognised: bool) -> None:
    if gate.metric not in METRICS:
        raise Refused(
            f"evaluation.gates names the metric {gate.metric[:40]!r}; known metrics: {', '.join(METRICS)}",
            reason="UnknownMetric",
        )
    if not is_measured(gate.metric, recognised=recognised):
        raise Refused(
            f"the gate on {gate.metric} needs a recogniser, and there is none of language {language!r}, only of "
            f"{', '.join(BUILT_IN)}; remove the gate from evaluation.gates, or give the installation a recogniser "
            "(chart value recogniser)",
            reason="NoRecogniser",
        )
    if gate.min is None and gate.max is None:
        raise Refused(f"the gate on {gate.metric} has neither min nor max; give one", reason="GateWithoutBound")


def _raised(gates: Sequence[Gate], minimum: Sequence[Gate]) -> tuple[Gate, ...]:
    """Return the gates, each at least as strict as those of ``minimum`` with its metric and bound, and the others."""
    raised = list(gates)
    for floor in minimum:
        bound = "min" if floor.min is not None else "max"
        same = [
            index
            for index, gate in enumerate(raised)
            if gate.metric == floor.metric and getattr(gate, bound) is not None
        ]
        for index in same:
            raised[index] = _stricter(raised[index], floor)
        raised += [] if same else [floor]
    return tuple(raised)


def _stricter(gate: Gate, floor: Gate) -> Gate:
    if floor.min is not None and gate.min is not None and gate.min < floor.min:
        return gate.model_copy(update={"min": floor.min})
    if floor.max is not None and gate.max is not None and gate.max > floor.max:
        return gate.model_copy(update={"max": floor.max})
    return gate


def judge(gates: Sequence[Gate], scores: Mapping[str, Estimate]) -> tuple[Verdict, ...]:
    """Compare every gate with its score."""
    return tuple(Verdict(gate, scores.get(gate.metric)) for gate in gates)


def decimal(value: float) -> str:
    """Print a score as people compare it."""
    return f"{value:.3f}"
