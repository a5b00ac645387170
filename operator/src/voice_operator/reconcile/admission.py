"""Which trainings may start while only so many may run: the namespace with the fewest first, then who waits longest."""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from voice_operator.api.voice_status import StageName
from voice_operator.reconcile.decide import Action, Decision
from voice_operator.reconcile.effects import StartJob
from voice_operator.reconcile.times import parse
from voice_operator.reconcile.view import View

TRAININGS: tuple[StageName, ...] = ("train", "evaluate")  # the stages that need a slot, on GPUs or without


class Waiting(NamedTuple):
    """A voice whose training waits for a slot."""

    since: datetime
    namespace: str
    name: str


@dataclass(frozen=True)
class Place:
    """A place in the line for a slot; the first one is 1."""

    number: int
    running: int
    limit: int


def line(running: Mapping[str, int], waiting: Iterable[Waiting]) -> tuple[Waiting, ...]:
    """Return the order in which the waiting start, one after the other, as if none of the running ended.

    ``running`` counts them by namespace. Each turn goes to the namespace with the fewest running and started ones;
    among equals, and inside a namespace, to whoever waits longest.
    """
    by_namespace: dict[str, list[Waiting]] = defaultdict(list)
    for voice in sorted(waiting, reverse=True):
        by_namespace[voice.namespace].append(voice)
    turns = [(running.get(name, 0), voices[-1]) for name, voices in by_namespace.items()]
    heapq.heapify(turns)
    order = []
    while turns:
        count, voice = turns[0]
        order.append(voice)
        voices = by_namespace[voice.namespace]
        voices.pop()
        if voices:
            heapq.heapreplace(turns, (count + 1, voices[-1]))
        else:
            heapq.heappop(turns)
    return tuple(order)


def grant(running: Mapping[str, int], waiting: Iterable[Waiting], limit: int) -> tuple[Waiting, ...]:
    """Return which of the waiting may start now, so that at most ``limit`` run."""
    return line(running, waiting)[: max(0, limit - sum(running.values()))]


def needs_slot(decision: Decision) -> StartJob | None:
    """Return the start of a training that the decision contains, if there is one."""
    starts = (effect for effect in decision.action.effects if isinstance(effect, StartJob))
    return next((start for start in starts if start.stage in TRAININGS), None)


def holds_slot(view: View) -> bool:
    """Return whether a training of the voice runs; a suspended Job has no pod and holds none."""
    return any(job.stage in TRAININGS and not job.suspended for job in view.running + view.obsolete + view.leaving)


def waits_since(view: View) -> datetime:
    """Return since when the voice is in line: a training that has begun goes before those that asked after that."""
    begun = next((stage.started_at for stage in view.stages if stage.name == "train"), None)
    return parse(begun) if begun else view.now


def hold(action: Action, start: StartJob, place: Place) -> Action:
    """Return the action without the start of the training; a free slot brings the next pass."""
    message = (
        f"{start.stage} is number {place.number} in line for a slot: {place.running} of {place.limit} are taken "
        "(chart value operator.maxConcurrentTrainings)"
    )
    effects = tuple(effect for effect in action.effects if effect is not start)
    return replace(action, reason="WaitingForSlot", message=message, effects=effects, requeue_after=None)
