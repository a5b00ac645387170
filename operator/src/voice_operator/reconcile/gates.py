"""The gates of a voice under the installation's minimum, and whether a published revision reaches the present ones."""

import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal

from voice_operator.api.evaluation import Gate
from voice_operator.api.schema import DECIMAL
from voice_operator.api.voice_status import GateVerdict

_NUMBER = re.compile(DECIMAL)


def effective_gates(gates: Sequence[Gate] | None, minimum: Sequence[Gate]) -> tuple[Gate, ...] | None:
    """Return the voice's gates, none weaker than ``minimum``; None: the base's own, which the trainer raises likewise.

    A voice may be stricter, never weaker.
    A gate that is strict enough keeps its spelling, so that a minimum which changes nothing changes no hash.
    """
    if gates is None:
        return None
    raised = list(gates)
    for floor in minimum:
        same = [index for index, gate in enumerate(raised) if _bounds_the_same(gate, floor)]
        for index in same:
            raised[index] = _stricter(raised[index], floor)
        raised += [] if same else [floor]
    return tuple(raised)


def missed_gates(
    recorded: Iterable[GateVerdict], scores: Mapping[str, str], gates: Sequence[Gate] | None, minimum: Sequence[Gate]
) -> tuple[GateVerdict, ...]:
    """Return which of the voice's present gates a published revision does not reach, by the scores that it records.

    What it was judged by stays as it was judged (``recorded``), and the base's own gates are no others. What was not
    measured is not reached.
    """
    wanted = effective_gates(gates, minimum)
    known = {(one.metric, one.min, one.max): one.passed for one in recorded}
    found = (_verdict(gate, scores.get(gate.metric, "")) for gate in (tuple(minimum) if wanted is None else wanted))
    return tuple(one for one in found if not known.get((one.metric, one.min, one.max), one.passed))


def described_gate(gate: GateVerdict) -> str:
    """Return what a gate asks for and what was reached."""
    bounds = [f"at least {gate.min}"] if gate.min else []
    bounds += [f"at most {gate.max}"] if gate.max else []
    doubt = " by its mean, as its interval straddles the bound" if gate.verdict == "inconclusive" else ""
    return f"{gate.metric} is {gate.value or 'not measured'}{doubt}, {' and '.join(bounds)} is needed"


def _verdict(gate: Gate, value: str) -> GateVerdict:
    """Compare the printed mean, as the trainer does; what is no number is not reached."""
    numbers = [_NUMBER.fullmatch(text) for text in (value, gate.min, gate.max) if text is not None]
    passed = all(numbers) and (gate.min is None or Decimal(value) >= Decimal(gate.min))
    passed = passed and (gate.max is None or Decimal(value) <= Decimal(gate.max))
    return GateVerdict(metric=gate.metric, min=gate.min, max=gate.max, value=value, passed=passed)


def _bounds_the_same(gate: Gate, floor: Gate) -> bool:
    return gate.metric == floor.metric and (gate.min if floor.min is not None else gate.max) is not None


def _stricter(gate: Gate, floor: Gate) -> Gate:
    """Return the gate with the floor's bound where that one is stricter; another bound of it stays."""
    if gate.min is not None and floor.min is not None and Decimal(gate.min) < Decimal(floor.min):
        return gate.model_copy(update={"min": floor.min})
    if gate.max is not None and floor.max is not None and Decimal(gate.max) > Decimal(floor.max):
        return gate.model_copy(update={"max": floor.max})
    return gate
