"""Sentences of any voices of a base that are spoken at the same time: each step of S1 chooses a token of every one.

A step reads all weights of the base, whether for one sentence or for eight. A sentence comes as soon as there is a
place, and goes when it ends: continuous batching (Yu et al. 2022, Orca, OSDI).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sovits_core.serving.rows import Row, StepRows, StepSession
from voice_inference.bundles.sessions import Adapter, Tensor
from voice_inference.engine.lanes import Lanes, StepLane
from voice_inference.engine.tokens import Utterance
from voice_inference.errors import Cancelled
from voice_inference.metrics import Metrics

POSITIONS: Final = 1024  # for each place, on average: 100 MB at the official sizes
CANCEL_SECONDS: Final = 0.25  # within which a sentence that waits for a place notices that nobody waits for it


class Start(NamedTuple):
    """Where a sentence begins."""

    adapter: Adapter
    """Of its voice, for the step."""
    logits: NDArray[np.float32]
    """(vocabulary,) of its prefill."""
    keys: Tensor
    """(layers, 1, heads, positions, width), as are the values."""
    values: Tensor
    position: int
    """Audio tokens in the prefill."""


class _Places:
    """Places for sentences, given in order: so many, and so many positions in all of them, or one sentence alone."""

    def __init__(self, most: int) -> None:
        self._free, self._positions = most, most * POSITIONS
        self._taken = 0
        self._waiting: deque[object] = deque()
        self._changed = threading.Condition()

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def take(self, positions: int, is_cancelled: Callable[[], bool]) -> None:
        """Wait for a place. Raises ``Cancelled`` where nobody waits for the sentence any more."""
        ticket = object()
        with self._changed:
            self._waiting.append(ticket)
            try:
                while not self._changed.wait_for(partial(self._fits, ticket, positions), CANCEL_SECONDS):
                    if is_cancelled():
                        raise Cancelled("The client has disconnected.")
                self._free -= 1
                self._taken += positions
            finally:
                self._waiting.remove(ticket)
                self._changed.notify_all()

    def leave(self, positions: int) -> None:
        """Give a place back."""
        with self._changed:
            self._free += 1
            self._taken -= positions
            self._changed.notify_all()

    def _fits(self, ticket: object, positions: int) -> bool:
        has_room = not self._taken or self._taken + positions <= self._positions
        return self._waiting[0] is ticket and self._free > 0 and has_room


class _Entry(NamedTuple):
    utterance: Utterance
    start: Start
    token: int
    positions: int


class _Speaking(NamedTuple):
    """Who has which row, and the token of each that is read next, with its place among the audio tokens."""

    entries: dict[Row, _Entry]
    tokens: dict[Row, tuple[int, int]]


class Batch:
    """The sentences of one base. It has a thread while somebody speaks, and holds nothing else.

    A sentence is said to its end, however slowly it is read: places become free without anybody's help.
    """

    def __init__(self, step: StepSession, most: int, lanes: Lanes, metrics: Metrics) -> None:
        """Take at most so many sentences at a time."""
        self._step, self._most, self._metrics = step, most, metrics
        self.lanes = lanes
        self._places = _Places(most)
        self._lock = threading.Lock()
        self._joining: deque[_Entry] = deque()
        self._running = False

    @property
    def waiting(self) -> int:
        """How many sentences wait for a place."""
        return self._places.waiting

    def say(
        self, utterance: Utterance, start: Callable[[], Start], positions: int, is_cancelled: Callable[[], bool]
    ) -> None:
        """Begin to say a sentence, and return.

        Args:
            utterance: what is to be said.
            start: is called, to prefill, once there is a place.
            positions: that it needs at most: phones, the prompt's tokens, and its own.
            is_cancelled: is asked while there is no place.

        Raises:
            Cancelled: ``is_cancelled`` returned true before there was a place.
            Exception: whatever ``start`` raised.
        """
        self._places.take(positions, is_cancelled)
        token = None
        try:
            begin = start()
            token = utterance.say(begin.logits)
        finally:
            if token is None:
                self._places.leave(positions)
        if token is None:
            return
        with self._lock:
            self._joining.append(_Entry(utterance, begin, token, positions))
            if not self._running:
                self._running = True
                threading.Thread(target=self._speak, name="tokens", daemon=True).start()

    def _speak(self) -> None:
        """Say tokens until nobody is left."""
        rows, speaking, lane = StepRows(self._step, self._most), _Speaking({}, {}), self.lanes.steps()
        while self._take(rows, speaking, lane):
            try:
                self._say_tokens(rows, speaking, lane)
            except Exception as error:  # noqa: BLE001 -- raised where sentences are waited for
                for row in [*speaking.tokens]:
                    speaking.entries[row].utterance.end(error)
                    self._leave(row, speaking)
                rows = StepRows(self._step, self._most)

    def _say_tokens(self, rows: StepRows, speaking: _Speaking, lane: StepLane) -> None:
        if not speaking.tokens:
            return
        with lane.step():
            logits = rows.read(speaking.tokens)
        self._metrics.steps.inc()
        self._metrics.step_rows.inc(len(rows))
        said = {row: entry.utterance.say(logits[row.number]) for row, entry in speaking.entries.items()}
        for row, token in said.items():
            if token is None:
                rows.leave(row)
                self._leave(row, speaking)
            else:
                speaking.tokens[row] = token, speaking.tokens[row][1] + 1

    def _leave(self, row: Row, speaking: _Speaking) -> None:
        self._places.leave(speaking.entries.pop(row).positions)
        del speaking.tokens[row]

    def _take(self, rows: StepRows, speaking: _Speaking, lane: StepLane) -> bool:
        """Let sentences join; tell whether anybody speaks, and else give the lane away."""
        with self._lock:
            joining = list(self._joining)
            self._joining.clear()
            self._running = bool(joining or speaking.tokens)
        if not speaking.tokens:
            lane.close()
        for entry in joining:
            start = entry.start
            try:
                row = rows.join(start.adapter, start.keys, start.values, entry.utterance.room)
            except Exception as error:  # noqa: BLE001 -- no memory; raised where the sentence is waited for
                entry.utterance.end(error)
                self._places.leave(entry.positions)
            else:
                speaking.entries[row], speaking.tokens[row] = entry, (entry.token, start.position)
        return bool(joining or speaking.tokens)
