"""The gates of a voice under the installation's minimum: a voice may be stricter, never weaker."""

from collections.abc import Sequence
from decimal import Decimal

from voice_operator.api.voice_model import Gate


def effective_gates(gates: Sequence[Gate] | None, minimum: Sequence[Gate]) -> tuple[Gate, ...] | None:
    """Return the voice's gates, none weaker than ``minimum``; None: the base's own, which the trainer raises likewise.

    A gate that is strict enough keeps its spelling, so that a minimum which changes nothing changes no hash.
    """
    if gates is None:
        return None
    floors = {_kind(gate): gate for gate in minimum}
    raised = tuple(_stricter(gate, floors.pop(_kind(gate), gate)) for gate in gates)
    return raised + tuple(floors.values())


def _kind(gate: Gate) -> tuple[str, bool]:
    return gate.metric, gate.min is not None


def _stricter(gate: Gate, floor: Gate) -> Gate:
    if gate.min is not None and floor.min is not None:
        return gate if Decimal(gate.min) >= Decimal(floor.min) else floor
    if gate.max is not None and floor.max is not None:
        return gate if Decimal(gate.max) <= Decimal(floor.max) else floor
    return gate
