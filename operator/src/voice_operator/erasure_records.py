"""Has recorded what was erased, served and copied of voices, and strikes out of their journals what is recorded."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Protocol

from voice_operator.api.voice_status import Act
from voice_operator.cluster.erasure_journals import ErasureJournal, ErasureJournals, JournalName, Progress, Withdrawal
from voice_operator.erasing import Eraser
from voice_operator.queue import Priority, WorkQueue
from voice_operator.reconcile.audit import act_of_erasure, act_of_withdrawal
from voice_operator.reconcile.names import Key
from voice_operator.reconcile.times import parse, render


class Recorder(Protocol):
    """Keeps records of what is done; asked in the event loop."""

    def record(self, folder: Key, uid: str, act: Act) -> bool:
        """Return whether there is a record; else make it, and enqueue the folder once there is one."""


class ErasureRecords:
    """What of the journals is still to be recorded. Without an audit log the status alone has it."""

    def __init__(
        self,
        journals: ErasureJournals,
        eraser: Eraser,
        queue: WorkQueue,
        clock: Callable[[], datetime],
        *,
        audit: Recorder | None,
        awaits_status: Callable[[Key, str, str], bool],
    ) -> None:
        """``awaits_status`` says whether the status of a living VoiceModel, by UID, lacks an erasure, by input hash."""
        self._journals = journals
        self._eraser = eraser
        self._queue = queue
        self._clock = clock
        self._audit = audit
        self._awaits_status = awaits_status

    async def settle(self, key: Key, *, is_over: bool) -> None:
        """Have recorded what is complete, and strike out what is recorded; ``is_over``: nothing is being erased.

        Raises:
            StoreError: the store failed.
        """
        for journal in self._journals.about(key):
            await self._journals.change(
                JournalName(key, journal.uid), lambda known: self._settled(key, known, is_over=is_over)
            )

    def _settled(self, key: Key, journal: ErasureJournal, *, is_over: bool) -> ErasureJournal:
        """Return what is left of a journal."""
        uid = journal.uid
        left: dict[str, Any] = {}
        if journal.unloaded is not None and self._is_recorded(key, uid, journal.unloaded):
            left["unloaded"] = None
        if journal.withdrawal is not None and self._is_withdrawn(key, uid, journal.withdrawal):
            left["withdrawal"] = None
        if is_over:
            left["erasures"] = tuple(self._unsettled(key, journal))
        return journal.model_copy(update=left)

    def _is_withdrawn(self, key: Key, uid: str, known: Withdrawal) -> bool:
        """Return whether a withdrawal is over and recorded."""
        if not known.time:
            return False
        return self._is_recorded(key, uid, act_of_withdrawal(uid, known.copied, parse(known.time), known.problem))

    def _unsettled(self, key: Key, journal: ErasureJournal) -> Iterator[Progress]:
        """Yield the entries that must stay; one that nobody wants any more is complete as far as it went."""
        for progress in journal.erasures:
            goes_on = self._eraser.goes_on(key, journal.uid, progress)
            if not goes_on and not progress.time:
                self._queue.add(key, Priority.LOW)  # its time is written before anybody records it
                yield progress.model_copy(update={"time": render(self._clock())})
            elif goes_on or not self._is_settled(key, journal.uid, progress):
                yield progress

    def _is_settled(self, key: Key, uid: str, progress: Progress) -> bool:
        """Return whether all have a complete erasure who must: the status, as long as there is one, then the log."""
        if self._awaits_status(key, uid, progress.input_hash):
            return False
        act = act_of_erasure(self._eraser.erased(key, uid, progress), parse(progress.time))
        return self._is_recorded(key, uid, act)

    def _is_recorded(self, key: Key, uid: str, act: Act) -> bool:
        return self._audit is None or self._audit.record(key, uid, act)
