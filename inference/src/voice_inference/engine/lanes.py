"""Who computes next: so many networks run at a time, steps of S1 in turn with everything else, and callers in turn.

Two networks that share processors are both slower than one after the other: each waits for its slowest thread.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections import Counter, deque
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Final, Generic, TypeVar

Party = TypeVar("Party", bound=Hashable)

QUANTUM: Final = 2.0
"""Seconds that callers may differ in before the one who has had less goes first: till then they come in their order."""
CREDIT: Final = 0.1
"""Seconds that somebody who was away may save up."""


class _Shares(Generic[Party]):
    """Seconds that each party has had, counted from where those who wait are: nobody saves up more than CREDIT."""

    def __init__(self) -> None:
        self._seconds: dict[Party, float] = {}
        self._wishes: Counter[Party] = Counter()
        self._floor = 0.0  # of those who wait and compute; it never falls

    def wish(self, party: Party) -> None:
        """Note that a party wants to compute once more."""
        if party not in self._wishes:
            self._seconds[party] = max(self._seconds.get(party, self._floor), self._floor - CREDIT)
        self._wishes[party] += 1

    def add(self, party: Party, seconds: float) -> None:
        """Note that it has, for so long."""
        self._seconds[party] += seconds
        self._floor = max(self._floor, min(self._seconds[one] for one in self._wishes))

    def fulfil(self, party: Party) -> None:
        """Note that it wants to do so once less."""
        self._wishes -= Counter([party])
        least = self._floor - CREDIT
        self._seconds = {one: had for one, had in self._seconds.items() if one in self._wishes or had > least}

    def __getitem__(self, party: Party) -> float:
        """Return the seconds that a party has had."""
        return self._seconds[party]


class Rank(IntEnum):
    """How near something is to the first sound of a request; what is near goes before steps."""

    SOUND = 0
    """Nothing else is missing."""
    START = 1
    """Its first sentence cannot begin without it."""
    LATER = 2
    """The request is heard already, or does not stream."""


STEP: Final = True  # tokens of all sentences that are spoken
RUN: Final = False  # prefills and decoders, of one sentence each


class Lanes:
    """A number of lanes; whoever enters one computes alone in it. Blocks, so it is for threads."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._lock = threading.Lock()
        self._steps: deque[threading.Event] = deque()
        self._runs: dict[str, list[tuple[Rank, int, threading.Event]]] = {}  # heaps, by caller
        self._numbers = itertools.count()
        self._kinds: _Shares[bool] = _Shares()
        self._callers: _Shares[str] = _Shares()

    @property
    def waiting(self) -> int:
        """How many wait for a lane."""
        return len(self._steps) + sum(map(len, self._runs.values()))

    def steps(self) -> StepLane:
        """Return what steps one after another wait for."""
        return StepLane(self)

    @contextmanager
    def run(self, caller: str = "", rank: Rank = Rank.LATER) -> Iterator[None]:
        """Wait for a lane and hold it, for anything else: by rank, unless the caller has had much more than others."""
        turn = threading.Event()
        with self._lock:
            self._kinds.wish(RUN)
            self._callers.wish(caller)
            heapq.heappush(self._runs.setdefault(caller, []), (rank, next(self._numbers), turn))
            self._admit()
        turn.wait()
        started = time.monotonic()
        try:
            yield
        finally:
            with self._lock:
                seconds = time.monotonic() - started
                self._kinds.add(RUN, seconds)
                self._kinds.fulfil(RUN)
                self._callers.add(caller, seconds)
                self._callers.fulfil(caller)
                self._leave()

    def wait_to_step(self) -> None:
        """Wait for a lane for steps."""
        turn = threading.Event()
        with self._lock:
            self._kinds.wish(STEP)
            self._steps.append(turn)
            self._admit()
        turn.wait()

    def goes_on(self, seconds: float) -> bool:
        """Note that a step has taken some seconds; give its lane away, and return false, where it is others' turn."""
        with self._lock:
            self._kinds.add(STEP, seconds)
            if not self._steps and (not self._runs or not self._is_run_next()):
                return True
        self.end_steps()
        return False

    def end_steps(self) -> None:
        """Give a lane away that was for steps."""
        with self._lock:
            self._kinds.fulfil(STEP)
            self._leave()

    def _leave(self) -> None:
        self._free += 1
        self._admit()

    def _admit(self) -> None:
        while self._free and (self._steps or self._runs):
            if self._steps and not (self._runs and self._is_run_next()):
                turn = self._steps.popleft()
            else:
                turn = self._next_run()
            self._free -= 1
            turn.set()

    def _is_run_next(self) -> bool:
        """Tell whether something of those that wait goes before a step: for a first sound, or as it has its turn."""
        is_near = any(waiting[0][0] < Rank.LATER for waiting in self._runs.values())
        return is_near or self._kinds[RUN] <= self._kinds[STEP]

    def _next_run(self) -> threading.Event:
        caller = min(self._runs, key=lambda one: (self._callers[one] // QUANTUM, self._runs[one][0]))
        _, _, turn = heapq.heappop(self._runs[caller])
        if not self._runs[caller]:
            del self._runs[caller]
        return turn


class StepLane:
    """A lane for steps one after another; it is kept between two of them, unless it is others' turn."""

    def __init__(self, lanes: Lanes) -> None:
        self._lanes, self._is_held = lanes, False

    @contextmanager
    def step(self) -> Iterator[None]:
        """Wait for the lane where it is not held, and compute in it."""
        if not self._is_held:
            self._lanes.wait_to_step()
            self._is_held = True
        started = time.monotonic()
        try:
            yield
        finally:
            self._is_held = self._lanes.goes_on(time.monotonic() - started)

    def close(self) -> None:
        """Give the lane away: there are no more steps."""
        if self._is_held:
            self._is_held = False
            self._lanes.end_steps()
