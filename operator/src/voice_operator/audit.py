"""Takes acts from passes to the audit log, beside the passes: a line for each namespace, and few workers for all.

A pass notes in a voice's status what the log lacks, offers it here and goes on. What the log has then comes off the
status with a later pass; until it has, the same act is offered again under the same id, by this process or the next.
"""

import asyncio
import contextlib
import logging
import random
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime

from voice_operator.api.voice_status import Act, AuditState, VoiceModelStatus
from voice_operator.cluster.audit_chain import AuditChain
from voice_operator.cluster.events import EventRecorder
from voice_operator.cluster.objects import audit_state, unpack
from voice_operator.cluster.observe import Cluster
from voice_operator.errors import LeadershipLost, OperatorError
from voice_operator.logs import current_key
from voice_operator.manifests.audit_record import Subject
from voice_operator.metrics import Metrics
from voice_operator.queue import Priority
from voice_operator.reconcile.audit import (
    Position,
    holder_digest,
    settled,
    tagged,
    trusted,
    with_due_acts,
)
from voice_operator.reconcile.decide import Decision
from voice_operator.reconcile.events import Event
from voice_operator.reconcile.names import Key
from voice_operator.reconcile.times import parse

WORKERS = 2  # for all namespaces; each waits for the store alone
ACTS_PER_TURN = 20  # of one namespace, before others have their turn
BASE_DELAY_SECONDS = 1.0  # after a failed attempt; doubles
MAX_DELAY_SECONDS = 300.0
JITTER = 0.2
BEGINNINGS = frozenset({"Served", "RolledBack"})

log = logging.getLogger(__name__)


@dataclass
class _Entry:
    """One act on its way to the log."""

    key: Key
    subject: Subject
    act: Act
    since: datetime  # no record of it is older
    after: int = 0  # nor has this number or a lower one
    position: Position | None = None


@dataclass
class _Lane:
    """What waits for one namespace's chain."""

    chain: AuditChain
    entries: deque[_Entry] = field(default_factory=deque)
    hint: Position | None = None  # the newest record that statuses knew of when the process began
    is_ready: bool = False  # in the queue, with a worker, or in a pause
    failures: int = 0


async def _nothing(_: Key, __: str) -> None:
    """Nothing has to be known before an act is recorded."""


class AuditLog:
    """The installation's audit log. All of it happens in one event loop.

    ``before_served`` is awaited before an act tells that a VoiceModel, by its UID, is served: who finds it gone must
    know that it was.
    """

    def __init__(
        self,
        cluster: Cluster,
        recorder: EventRecorder,
        *,
        enqueue: Callable[[Key, Priority], None],
        metrics: Metrics,
        clock: Callable[[], datetime],
    ) -> None:
        self._cluster = cluster
        self._recorder = recorder
        self._enqueue = enqueue
        self._metrics = metrics
        self._clock = clock
        self._lanes: dict[str, _Lane] = {}
        self._ready: asyncio.Queue[str] = asyncio.Queue()
        self._entries: dict[Key, dict[str, _Entry]] = defaultdict(dict)  # by voice and act; until its status has it
        self._keys: dict[str, bytes] = {}  # by purpose
        self.before_served: Callable[[Key, str], Awaitable[None]] = _nothing

    async def run(self) -> None:
        """Work for ever."""
        async with asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(self._work())

    def with_acts(self, key: Key, decision: Decision, status: VoiceModelStatus) -> VoiceModelStatus:
        """Return the status with the acts that it makes due, and without those that the log has."""
        voice = decision.view.observed.voice
        known = trusted(voice.status.audit, voice.uid, self._key("audit-state"))
        mine = self._entries.get(key, {})
        recorded = {one: entry.position for one, entry in mine.items() if entry.position is not None}
        state = with_due_acts(
            settled(known, recorded),
            decision.view,
            status,
            self._holder(key.namespace),
            lambda: self._hint(key.namespace),
        )
        if state == known:
            state = known if known.tag else AuditState()
        else:
            state = tagged(state, voice.uid, self._key("audit-state"))
        return status.model_copy(update={"audit": state if state.tag else None})

    def offer(self, key: Key, uid: str, status: VoiceModelStatus) -> None:
        """Record what waits in a status that is written; forget what it has no more."""
        state = status.audit or AuditState()
        waiting = {act.id for act in state.pending}
        mine = self._entries[key]
        for one in [one for one, entry in mine.items() if entry.position is not None and one not in waiting]:
            del mine[one]
        name = Subject(key.namespace, key.name, uid)
        for act in state.pending:
            if act.id not in mine:
                self._add(_Entry(key, name, act, parse(state.since), state.sequence))
        if not mine:
            del self._entries[key]

    def forget(self, key: Key) -> None:
        """The voice is gone, and with it the place where outcomes are noted; what was begun is still recorded."""
        mine = self._entries.get(key, {})
        for one in [one for one, entry in mine.items() if entry.position is not None]:
            del mine[one]

    def record(self, folder: Key, uid: str, act: Act) -> bool:
        """Return whether the log has an act that no status keeps; else take it there, and enqueue the folder then."""
        entry = self._entries[folder].get(act.id)
        if entry is None:
            self._add(_Entry(folder, Subject(folder.namespace, folder.name, uid), act, parse(act.time)))
            return False
        if entry.position is None:
            return False
        del self._entries[folder][act.id]
        if not self._entries[folder]:
            del self._entries[folder]
        return True

    def _add(self, entry: _Entry) -> None:
        self._entries[entry.key][entry.act.id] = entry
        lane = self._lane(entry.key.namespace)
        lane.entries.append(entry)
        self._metrics.audit_pending.inc()
        if not lane.is_ready:
            lane.is_ready = True
            self._ready.put_nowait(entry.key.namespace)

    async def _work(self) -> None:
        while True:
            namespace = await self._ready.get()
            lane = self._lanes[namespace]
            delay = await self._turn(lane, namespace)
            if not lane.entries:
                lane.is_ready = False
            elif delay:
                asyncio.get_running_loop().call_later(delay, self._ready.put_nowait, namespace)
            else:
                self._ready.put_nowait(namespace)

    async def _turn(self, lane: _Lane, namespace: str) -> float:
        """Record some acts of a namespace; return the seconds to wait before the others."""
        for _ in range(min(ACTS_PER_TURN, len(lane.entries))):
            entry = lane.entries[0]
            current_key.set(entry.key)
            try:
                if entry.act.act in BEGINNINGS:
                    await self.before_served(entry.key, entry.subject.uid)
                entry.position = await lane.chain.append(
                    entry.subject, entry.act, self._hint(namespace), since=entry.since, after=entry.after
                )
            except OperatorError as error:
                return await self._failed(lane, entry, str(error))
            except Exception:  # a bug that one act triggers must be seen, and must not end the operator
                log.exception("%s: audit: bug in the operator", entry.key)
                return await self._failed(lane, entry, "a bug in the operator; its log has more")
            lane.entries.popleft()
            lane.failures = 0
            self._metrics.audit_pending.dec()
            self._metrics.audit_records.labels("written").inc()
            await self._tell_lost(lane, entry)
            mine = self._entries.get(entry.key, {}).values()
            if all(one.position is not None for one in mine):
                self._enqueue(entry.key, Priority.LOW)  # what keeps them for the object learns of it at once
        return 0.0

    async def _failed(self, lane: _Lane, entry: _Entry, why: str) -> float:
        """Tell it once, on the voice whose act is the first to wait; return the seconds until the next attempt."""
        lane.failures += 1
        self._metrics.audit_records.labels("failed").inc()
        delay = min(BASE_DELAY_SECONDS * 2.0 ** min(lane.failures - 1, 30), MAX_DELAY_SECONDS)
        delay *= 1 + JITTER * random.random()  # noqa: S311 -- no secret
        log.warning("%s: audit: %s; %d acts wait, tried again in %.0f s", entry.key, why, len(lane.entries), delay)
        if lane.failures == 1:
            message = f"the audit log cannot be written, so {entry.act.act} is recorded later: {why}"
            await self._tell(entry, "AuditDelayed", message)
        return delay

    async def _tell_lost(self, lane: _Lane, entry: _Entry) -> None:
        lost, lane.chain.lost = lane.chain.lost, None
        if lost is None:
            return
        self._metrics.audit_records.labels("lost").inc()
        message = (
            f"record {lost.sequence} of the audit log of {entry.key.namespace} ({lost.digest}) was there and is gone; "
            "voice-operator audit verify tells more"
        )
        log.error("%s: %s", entry.key, message)
        await self._tell(entry, "AuditRecordLost", message)

    async def _tell(self, entry: _Entry, reason: str, message: str) -> None:
        with contextlib.suppress(LeadershipLost):  # the election says so, and ends the process
            await self._recorder.record(entry.key.about, entry.subject.uid, Event("Warning", reason, message, "Audit"))

    def _lane(self, namespace: str) -> _Lane:
        if namespace not in self._lanes:
            settings = self._cluster.settings
            chain = AuditChain(
                self._cluster.store,
                settings.audit_uri,
                namespace,
                key=lambda: self._cluster.signing.key,
                clock=self._clock,
                retention=settings.audit.retention if settings.audit.retention.days else None,
            )
            self._lanes[namespace] = _Lane(chain)
        return self._lanes[namespace]

    def _hint(self, namespace: str) -> Position:
        """Return the newest record that is known: to this process or, at its begin, to the voices of the namespace."""
        lane = self._lane(namespace)
        if lane.chain.head is not None:
            return lane.chain.head
        if lane.hint is None:
            key = self._key("audit-state")
            items = [unpack(record.packed) for record in self._cluster.caches.voices_of(namespace)]
            states = (trusted(audit_state(item), item["metadata"]["uid"], key) for item in items)
            known = [Position(state.sequence, state.record) for state in states]
            lane.hint = max(known, key=lambda position: position.sequence, default=Position())
        return lane.hint

    def _holder(self, namespace: str) -> Callable[[str], str]:
        return lambda name: holder_digest(namespace, name, self._key("audit-holder"))

    def _key(self, purpose: str) -> bytes:
        if purpose not in self._keys:
            self._keys[purpose] = self._cluster.signing.key.key_for(purpose)
        return self._keys[purpose]
