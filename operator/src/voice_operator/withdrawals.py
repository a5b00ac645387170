"""Withdraws from the Hub what a deleted VoiceModel has left there: a Job that nobody owns, told of by its journal.

Nothing waits for it: neither the VoiceModel, nor its namespace, nor its files.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Literal

from voice_operator.cluster.copies import copy_state
from voice_operator.cluster.erasure_journals import ErasureJournal, ErasureJournals, JournalName, Withdrawal
from voice_operator.cluster.events import EventRecorder
from voice_operator.cluster.kube import CONFIG_MAPS, JOBS, Object
from voice_operator.cluster.observe import Cluster
from voice_operator.errors import ClusterError, Conflict, NotFound
from voice_operator.manifests.copy_job import copy_config_map, copy_job
from voice_operator.manifests.labels import COPY
from voice_operator.reconcile.copying import NOT_ALLOWED, withdrawal_of
from voice_operator.reconcile.effects import WithdrawFromHub
from voice_operator.reconcile.erasure import Copied
from voice_operator.reconcile.events import Event
from voice_operator.reconcile.names import Key
from voice_operator.reconcile.observed import VoiceRef
from voice_operator.reconcile.times import parse, render

POLL_SECONDS = 5.0  # between looks at the Job
RETRY_SECONDS = 60.0  # where the API server takes no Job
AGAIN_SECONDS = 0.5  # until what became of it is recorded
GIVEN_UP_AFTER = timedelta(hours=24)  # a Job that failed is made anew once its TTL has taken it, an hour later

_UNFINISHED = frozenset({"Running", "Deleting"})

log = logging.getLogger(__name__)


class Withdrawals:
    """The copies of VoiceModels that are gone."""

    def __init__(
        self, cluster: Cluster, recorder: EventRecorder, journals: ErasureJournals, clock: Callable[[], datetime]
    ) -> None:
        self._cluster = cluster
        self._recorder = recorder
        self._journals = journals
        self._clock = clock
        self._started: set[JournalName] = set()  # whose Job has what its pod mounts, as this process knows
        self._told: set[JournalName] = set()  # whose first failure was told, by this process

    async def note(self, name: JournalName, copied: Copied | None) -> None:
        """Keep that a VoiceModel is gone whose copy may be there.

        Raises:
            StoreError: the store failed.
        """
        if copied is None:
            return
        begun = Withdrawal(copied=copied, since=render(self._clock()))
        await self._journals.change(
            name, lambda journal: journal if journal.withdrawal else journal.model_copy(update={"withdrawal": begun})
        )

    async def reconcile(self, key: Key) -> float | None:
        """Go on with the withdrawals of one folder; return the seconds after which to look again, or None.

        Raises:
            OperatorError: a dependency failed.
        """
        waits = []
        for journal in self._journals.about(key):
            pending = journal.withdrawal
            if pending is not None and not pending.time:
                waits.append(await self._go_on(JournalName(key, journal.uid), pending))
        return min(waits, default=None)

    async def _go_on(self, name: JournalName, pending: Withdrawal) -> float:
        try:
            problem = await self._outcome(name, pending)
        except ClusterError as error:  # files of the voice go on being erased meanwhile
            await self._tell_once(name, f"hf://{pending.copied.repository} is not withdrawn yet: {error}")
            return RETRY_SECONDS
        if problem is None:
            return POLL_SECONDS
        over = pending.model_copy(update={"time": render(self._clock()), "problem": problem[:1024]})

        def ended(journal: ErasureJournal) -> ErasureJournal:
            return journal.model_copy(update={"withdrawal": over})

        await self._journals.change(name, ended)
        self._started.discard(name)
        self._told.discard(name)
        where = f"hf://{pending.copied.repository}"
        if problem:
            by_hand = "delete the repository by hand"
            await self._tell(name, "Warning", "WithdrawalFailed", f"the copy at {where} stays: {problem}; {by_hand}")
        else:
            await self._tell(name, "Normal", "Withdrawn", f"{where} holds no copy any more: the voice was deleted")
        return AGAIN_SECONDS

    async def _outcome(self, name: JournalName, pending: Withdrawal) -> str | None:
        """Return why the copy stays; empty: it is gone; None: that is not known yet."""
        repository, namespace = pending.copied.repository, name.folder.namespace
        if other := self._other(name, repository):
            return f"{other} has its own copy there"
        withdrawal = withdrawal_of(name.folder.name, repository, uid=name.uid)
        job = self._cluster.caches.jobs.get(namespace, withdrawal.name)
        observed = None if job is None else copy_state(self._cluster, namespace, job)
        if observed is not None and observed.state == "Succeeded":
            return ""
        if self._clock() - parse(pending.since) >= GIVEN_UP_AFTER:
            return (observed.message if observed is not None else "") or "it could not be withdrawn within a day"
        if observed is not None and (observed.state != "Running" or name in self._started):
            if observed.state == "Failed":
                await self._tell_once(name, f"hf://{repository} is not withdrawn yet: {observed.message}")
            return None
        return await self._start(name, withdrawal)

    async def _start(self, name: JournalName, withdrawal: WithdrawFromHub) -> str | None:
        """Make the Job, and what its pod mounts; return why that will never be possible, or None."""
        kube, settings = self._cluster.kube, self._cluster.settings
        if not settings.hub.token_secret:
            return NOT_ALLOWED
        if self._is_being_copied(name):
            return None
        voice = VoiceRef(name.folder.namespace, name.folder.name, name.uid)
        try:
            job = await kube.create(JOBS, copy_job(voice, withdrawal, settings))
        except Conflict:  # of an earlier process, which may have come no further
            job = await kube.get(JOBS, voice.namespace, withdrawal.name)
        except ClusterError as error:
            if isinstance(error, NotFound) or (error.reason == "Forbidden" and "being terminated" in str(error)):
                return "its namespace is gone, and with it the Hub's token"
            raise
        config_map = copy_config_map(voice, withdrawal, settings)
        config_map["metadata"]["ownerReferences"] = [_owner(job)]
        await kube.apply(CONFIG_MAPS, config_map)
        self._cluster.caches.jobs.update(job)
        self._started.add(name)
        return None

    def _other(self, name: JournalName, repository: str) -> str:
        """Return the VoiceModel whose copy is in the repository now; empty: none's."""
        living = self._cluster.caches.voices.values()
        found = (one.id for one in living if one.uid != name.uid and one.copied and one.copied.repository == repository)
        return next(found, "")

    def _is_being_copied(self, name: JournalName) -> bool:
        """Return whether a Job of the VoiceModel that is gone may still write there."""
        jobs = self._cluster.caches.jobs_of(name.folder.namespace, name.folder.name)
        owned = (job for job in jobs if COPY in (job["metadata"].get("labels") or {}))
        return any(
            one["uid"] == name.uid and copy_state(self._cluster, name.folder.namespace, job).state in _UNFINISHED
            for job in owned
            for one in job["metadata"].get("ownerReferences") or ()
        )

    async def _tell_once(self, name: JournalName, message: str) -> None:
        if name not in self._told:
            self._told.add(name)
            await self._tell(name, "Warning", "WithdrawalFailed", f"{message}; it is tried again for a day")

    async def _tell(self, name: JournalName, kind: Literal["Normal", "Warning"], reason: str, message: str) -> None:
        log.log(logging.WARNING if kind == "Warning" else logging.INFO, "%s: %s: %s", name.folder, reason, message)
        await self._recorder.record(name.folder.about, name.uid, Event(kind, reason, message, "Withdraw"))


def _owner(job: Object) -> dict[str, str]:
    return {"apiVersion": "batch/v1", "kind": "Job", "name": job["metadata"]["name"], "uid": job["metadata"]["uid"]}
