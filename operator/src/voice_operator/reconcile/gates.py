"""The gates of a voice under the installation's minimum: a voice may be stricter, never weaker."""

from collections.abc import Sequence
from decimal import Decimal

from voice_operator.api.evaluation import Gate


def effective_gates(gates: Sequence[Gate] | None, minimum: Sequence[Gate]) -> tuple[Gate, ...] | None:
    """Return the voice's gates, none weaker than ``minimum``; None: the base's own, which the trainer raises likewise.

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


def _bounds_the_same(gate: Gate, floor: Gate) -> bool:
    return gate.metric == floor.metric and (gate.min if floor.min is not None else gate.max) is not None


def _stricter(gate: Gate, floor: Gate) -> Gate:
    """Return the gate with the floor's bound where that one is stricter; another bound of it stays."""
    if gate.min is not None and floor.min is not None and Decimal(gate.min) < Decimal(floor.min):
        return gate.model_copy(update={"min": floor.min})
    if gate.max is not None and floor.max is not None and Decimal(gate.max) > Decimal(floor.max):
        return gate.model_copy(update={"max": floor.max})
    return gate
