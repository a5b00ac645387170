"""One namespace's chain of audit records in the object store: appended to by whoever leads, never forked."""

from collections.abc import Callable
from datetime import datetime, timedelta

from voice_operator.api.voice_status import Act
from voice_operator.cluster.store import Store
from voice_operator.errors import InvalidDocument, StoreError
from voice_operator.manifests.audit_record import (
    Subject,
    digest_of,
    id_in,
    is_signed,
    read_record,
    record_bytes,
    record_name,
)
from voice_operator.reconcile.audit import Position
from voice_operator.reconcile.times import parse
from voice_operator.settings import Retention
from voice_operator.signing import SigningKey

CLOCK_SLACK = timedelta(minutes=10)  # between the clocks of API server and operators
MAX_KNOWN = 4096  # acts whose ids are kept, and up to twice as many for a while


class AuditChain:
    """The chain as this process knows it; calls follow one another."""

    def __init__(
        self,
        store: Store,
        folder: str,
        namespace: str,
        *,
        key: Callable[[], SigningKey],
        clock: Callable[[], datetime],
        retention: Retention | None = None,
    ) -> None:
        """``folder`` is the URI below which each namespace has a folder of its own."""
        self._store = store
        self._folder = f"{folder}/{namespace}"
        self._namespace = namespace
        self._key = key
        self._clock = clock
        self._retention = retention
        self._known: dict[str, Position] = {}  # acts in the records behind ``_lowest``, by id
        self._lowest = 0
        self._reaches_to = clock()  # when the oldest record that was read was made
        self.head: Position | None = None
        self.lost: Position | None = None  # a record that was there once and is not any more

    async def append(self, subject: Subject, act: Act, hint: Position, *, since: datetime, after: int = 0) -> Position:
        """Record an act unless the chain has it; return where it is.

        ``hint`` is the newest record that is known to exist. An earlier process may have recorded the act already, but
        not before ``since``, and not in a record up to number ``after``: of two writers at a time exactly one makes
        each record, and the other one reads it.

        Raises:
            StoreError: the store failed; what it did before that is found by the next call.
        """
        if self.head is None:
            self.head = await self._find_head(hint)
            self._lowest, self._reaches_to = self.head.sequence, self._clock() + CLOCK_SLACK
        head = self.head
        await self._learn(after, since)
        while act.id not in self._known:
            data = record_bytes(subject, act, head, self._clock(), self._key())
            uri = self._uri(head.sequence + 1)
            if not await self._store.create(uri, data, self._namespace):
                found = await self._store.read(uri, self._namespace)
                if found is None:
                    raise StoreError(f"{uri} exists, says the store, and cannot be read")
                data = found  # the link goes on behind it, whatever somebody put there
            head = self.head = Position(head.sequence + 1, digest_of(data))
            self._remember(data, head)
        position = self._known[act.id]
        if self._retention is not None:
            until = self._clock() + timedelta(days=self._retention.days)
            uri = self._uri(position.sequence)
            await self._store.retain(uri, self._retention.mode, until, self._namespace)
        return position

    async def _find_head(self, hint: Position) -> Position:
        """Return the newest record, in some 2 log2(n) requests where ``hint`` is n records behind."""
        low, step = hint.sequence, 1
        newest = await self._read(low) if low else None
        if low and newest is None:
            self.lost = hint
            return hint
        while (found := await self._read(low + step)) is not None:
            low, step, newest = low + step, step * 2, found
        high = low + step
        while high - low > 1:
            middle = (low + high) // 2
            found = await self._read(middle)
            low, high, newest = (middle, high, found) if found is not None else (low, middle, newest)
        if low == hint.sequence:
            return hint
        return Position(low, digest_of(newest or b""))

    async def _learn(self, after: int, since: datetime) -> None:
        """Read records backwards, until the acts of all that are newer than both bounds are known."""
        while self._lowest > after and self._reaches_to > since - CLOCK_SLACK:
            data = await self._read(self._lowest) or b""
            self._known.setdefault(self._id_in(data), Position(self._lowest, digest_of(data)))
            self._reaches_to = min(_recorded_at(data) or self._reaches_to, self._reaches_to)
            self._lowest -= 1

    def _remember(self, data: bytes, position: Position) -> None:
        self._known[self._id_in(data)] = position
        if len(self._known) > 2 * MAX_KNOWN:
            newest = sorted(self._known.items(), key=lambda known: known[1].sequence)[-MAX_KNOWN:]
            self._known, self._lowest = dict(newest), max(self._lowest, newest[0][1].sequence - 1)

    def _id_in(self, data: bytes) -> str:
        """Return the id of the act in a record of this installation; empty: it is none, and counts for no act."""
        return id_in(data) if is_signed(data, (self._key().public,)) else ""

    async def _read(self, sequence: int) -> bytes | None:
        return await self._store.read(self._uri(sequence), self._namespace)

    def _uri(self, sequence: int) -> str:
        return f"{self._folder}/{record_name(sequence)}"


def _recorded_at(data: bytes) -> datetime | None:
    try:
        return parse(read_record(data, "record").recorded_at)
    except (InvalidDocument, ValueError):
        return None
