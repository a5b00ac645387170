"""Admits trainings up to operator.maxConcurrentTrainings: knows who waits, and calls the next when a slot is free."""

from collections import Counter
from collections.abc import Callable, Collection
from datetime import datetime

from voice_operator.reconcile.admission import Place, Waiting, grant, line
from voice_operator.reconcile.names import Key


class Admission:
    """The line for the slots. Everything happens in one event loop, so nothing is locked.

    What is waited for is lost with the process: after a restart every voice asks again, on its first pass.
    """

    def __init__(self, limit: int, enqueue: Callable[[Key], None]) -> None:
        self.limit = limit  # 0: none
        self._enqueue = enqueue
        self._waiting: dict[Key, datetime] = {}
        self._running: frozenset[Key] = frozenset()  # as last read
        self._holding: set[Key] = set()  # as admitted, or seen in a pass: what is read may be older

    def request(self, key: Key, since: datetime, running: Collection[Key]) -> Place | None:
        """Return None if the voice may start its training now, else its place in the line.

        ``running`` are the voices whose trainings run at present; ``since`` counts at the first request.
        """
        self._running = frozenset(running) - {key}
        self._holding.discard(key)
        self._waiting.setdefault(key, since)
        order = line(self._counts(), map(_waiting, self._waiting.items()))
        number = order.index(_waiting((key, self._waiting[key])))
        free = self.limit - len(self._busy())
        if number < free:
            del self._waiting[key]
            self._holding.add(key)
            return None
        self._call_next()
        return Place(number + 1, len(self._busy()), self.limit)

    def settle(self, key: Key, *, running: bool) -> None:
        """Note that the voice does not ask for a slot, and whether it holds one; a slot that is free is offered."""
        left = self._waiting.pop(key, None) is not None or (not running and key in self._busy())
        if running:
            self._holding.add(key)
        else:
            self._holding.discard(key)
            self._running -= {key}
        if left:
            self._call_next()

    def _call_next(self) -> None:
        """Enqueue the voices that may start now; each asks again in its pass."""
        for voice in grant(self._counts(), map(_waiting, self._waiting.items()), self.limit):
            self._enqueue(Key("VoiceModel", voice.namespace, voice.name))

    def _busy(self) -> frozenset[Key]:
        return self._running | self._holding

    def _counts(self) -> Counter[str]:
        return Counter(key.namespace for key in self._busy())


def _waiting(entry: tuple[Key, datetime]) -> Waiting:
    key, since = entry
    return Waiting(since, key.namespace, key.name)
