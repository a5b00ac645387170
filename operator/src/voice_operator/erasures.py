"""Decides what goes of what voices leave in the store: those deleted or revoked, and inputs that nobody needs.

No object waits for it: there is no finalizer. What must go is computed from what exists, again and again, until a look
finds nothing and nobody is left who could still write.
"""

import asyncio
import logging
import re
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from weakref import WeakValueDictionary

from voice_operator.api.schema import VOICE_NAME
from voice_operator.api.voice_status import Tombstone
from voice_operator.cluster.erasure_journals import ErasureJournals, JournalName, Progress
from voice_operator.cluster.events import EventRecorder
from voice_operator.cluster.folders import Folders, Marker
from voice_operator.cluster.kube import VOICE_MODELS
from voice_operator.cluster.objects import is_deleting, is_of_earlier
from voice_operator.cluster.observe import Cluster
from voice_operator.erasing import CountName, Eraser, labels_of
from voice_operator.erasure_records import ErasureRecords, Recorder
from voice_operator.errors import ClusterError, InvalidDocument, NotFound, OperatorError, StoreError
from voice_operator.manifests.labels import INPUT_HASH, LABEL_LENGTH
from voice_operator.queue import Priority, WorkQueue
from voice_operator.reconcile.audit import act_of_deletion
from voice_operator.reconcile.desired import VoiceRecord
from voice_operator.reconcile.erasure import WHOLE, Claims, Erased, Erasure, Served, erasures_of
from voice_operator.reconcile.events import Event
from voice_operator.reconcile.names import Key, revision_name
from voice_operator.reconcile.observed import Problem, Voice
from voice_operator.reconcile.times import parse, render
from voice_operator.withdrawals import Withdrawals

AGAIN_SECONDS = 0.5  # between parts of a long erasure, and before the look that finds nothing
WRITERS_SECONDS = 2.0  # between looks while pods are ending
SETTLE_SECONDS = 10.0  # a deleted voice's folder stays empty so long before it is nobody's
RESTORE_SECONDS = 60.0  # a VoiceModel may be restored before its VoiceRevisions
STORE_SECONDS = 60.0  # between looks while the store is away
SWEEP_SECONDS = 6 * 3600.0
SWEEP_RETRY_SECONDS = 60.0

_NAME = re.compile(VOICE_NAME)
_NAMESPACE = re.compile("^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")

log = logging.getLogger(__name__)


@dataclass
class _Departed:
    """A VoiceModel of which a watch or a list told that it is deleted."""

    record: VoiceRecord
    is_noted: bool = False  # its end is in the journal
    is_copy_noted: bool = False  # and so is what it has left on the Hub

    @property
    def legal_hold(self) -> bool:
        return self.record.legal_hold

    @property
    def has_trained(self) -> bool:
        return self.record.has_trained


@dataclass
class _Folder:
    """What is remembered of a voice's folder between two looks."""

    departed: dict[str, _Departed] = field(default_factory=dict)  # by UID
    finished: dict[str, Tombstone] = field(default_factory=dict)  # by input hash
    owner: str = ""  # UID of the VoiceModel that is known to own it
    marked: Marker | None = None  # what the marker is known to say, without its seal
    done: tuple[Erasure, ...] = ()  # of the owner
    told: str = ""  # why it is held, as people were told


class ErasureReconciler:
    """Reconciles the folders of voices, and answers whether a voice may write to its own."""

    def __init__(
        self,
        cluster: Cluster,
        recorder: EventRecorder,
        queue: WorkQueue,
        clock: Callable[[], datetime],
        audit: Recorder | None = None,
    ) -> None:
        """Without an audit log nothing is recorded but Events and tombstones."""
        self._audit = audit
        self._cluster = cluster
        self._recorder = recorder
        self._queue = queue
        self._clock = clock
        storage = cluster.settings.storage.uri
        self._documents = Folders(cluster.store, storage)
        self._journals = ErasureJournals(cluster.store, storage, lambda: cluster.signing.key)
        self._folders: defaultdict[Key, _Folder] = defaultdict(_Folder)
        self._turns: WeakValueDictionary[Key, asyncio.Lock] = WeakValueDictionary()
        self._eraser = Eraser(cluster, self._journals, clock)
        self._records = ErasureRecords(
            self._journals, self._eraser, queue, clock, audit=audit, awaits_status=self._awaits_status
        )
        self._withdrawals = Withdrawals(cluster, recorder, self._journals, clock)

    @property
    def withdrawing(self) -> frozenset[str]:
        """Repositories of the Hub that are being emptied of what deleted voices have left there."""
        return frozenset(one.copied.repository for one in self._journals.withdrawals)

    def on_deleted(self, record: VoiceRecord) -> None:
        """Note that a VoiceModel is gone for certain."""
        self._folders[_folder_of(record.id)].departed[record.uid] = _Departed(record)

    def finished(self, voice: Key, uid: str) -> Mapping[str, Tombstone]:
        """Return what was erased of a voice and is not acknowledged, by input hash."""
        folder = self._folders.get(_folder_of(f"{voice.namespace}/{voice.name}"))
        return {} if folder is None or folder.owner != uid else dict(folder.finished)

    def acknowledge(self, voice: Key, erased: Mapping[str, Tombstone]) -> None:
        """Forget what the voice's status records now."""
        key = _folder_of(f"{voice.namespace}/{voice.name}")
        folder = self._folders.get(key)
        for digest, tombstone in erased.items():
            if folder is not None and folder.finished.get(digest) == tombstone:
                del folder.finished[digest]
        if erased:  # what is done is wanted no longer, and may be wanted again later
            self._queue.add(key, Priority.LOW)

    async def claim(self, voice: Voice) -> Problem | None:
        """Make the folder of a voice its own before anything is written there; return why that must wait, or None.

        Raises:
            StoreError: the store failed.
            InvalidDocument: somebody else wrote the folder's marker.
        """
        return await self._claim(_folder_of(voice.id), voice.uid)

    async def note_served(self, voice: Key, uid: str) -> None:
        """Let the folder's marker tell what is served, or the journal that it was: whoever finds the end records it.

        Raises:
            StoreError: the store failed.
        """
        key = _folder_of(f"{voice.namespace}/{voice.name}")
        if not _is_folder(key):
            return
        record = self._cluster.caches.voices.get(key.namespace, key.name)
        try:
            if record is not None and record.uid == uid:
                await self._claim(key, uid)
            elif key in self._folders and uid in self._folders[key].departed:
                living = "" if record is None else record.uid
                await self._note_ends(key, await self._documents.marker(key), living=living)
        except InvalidDocument as error:  # somebody else's marker, which holds up no log
            log.warning("%s: %s", key, error)

    async def reconcile(self, key: Key) -> float | None:
        """Erase what must go of one folder; idempotent. Return the seconds after which to look again, or None.

        Raises:
            OperatorError: a dependency failed; the caller requeues the key.
        """
        if not _is_folder(key):
            return None
        wait = await self._look_at(key)
        withdrawal = await self._withdrawals.reconcile(key)
        await self._records.settle(key, is_over=wait is None)
        return min((one for one in (wait, withdrawal) if one is not None), default=None)

    async def _look_at(self, key: Key) -> float | None:
        record = self._cluster.caches.voices.get(key.namespace, key.name)
        if record is None:
            return await self._erase_departed(key, None)
        revisions = self._revisions(key)
        concerned = record.has_trained or revisions or erasures_of(record.claims, revisions)
        if concerned:
            try:
                await self._claim(key, record.uid)
            except StoreError as error:  # nothing of this voice may be due, and then nobody needs to be told
                log.warning("%s: %s", key, error)
                return STORE_SECONDS
        if self._folders[key].owner != record.uid:
            return await self._erase_departed(key, record)
        return await self._erase_of(key, record.uid)

    async def sweep(self) -> None:
        """Look for folders of voices that were deleted while nobody watched; for ever."""
        while True:
            try:
                marked = await self._documents.marked(self._cluster.settings.namespaces)
                for key in marked.folders:
                    if self._cluster.caches.voices.get(key.namespace, key.name) is None:
                        self._queue.add(key, Priority.LOW)
                for name in marked.journals:
                    if _is_folder(name.folder):
                        await self._journals.read(name)
                        self._queue.add(name.folder, Priority.LOW)
                pause = SWEEP_SECONDS
            except OperatorError as error:
                log.warning("the folders of deleted voices could not be listed: %s", error)
                pause = SWEEP_RETRY_SECONDS
            await asyncio.sleep(pause)

    # The folder's owner

    async def _claim(self, key: Key, uid: str) -> Problem | None:
        """Let the marker say what the VoiceModel says now; passes over voice and folder, and the audit log, ask this.

        They take turns, so that no older state of the voice is written over a newer one.
        """
        async with self._turn(key):
            record = self._cluster.caches.voices.get(key.namespace, key.name)
            if record is None or record.uid != uid:  # it was deleted meanwhile
                return Problem("FolderNotErased", f"{key.namespace}/{key.name} is not there any more")
            return await self._claim_for(key, record)

    def _turn(self, key: Key) -> asyncio.Lock:
        """Return what is held while a folder's marker is read and written."""
        return self._turns.setdefault(key, asyncio.Lock())

    async def _claim_for(self, key: Key, record: VoiceRecord) -> Problem | None:
        folder, uid = self._folders[key], record.uid
        wanted = Marker(
            namespace=key.namespace,
            voice=key.name,
            uid=uid,
            legal_hold=record.legal_hold,
            served=record.served,
            copied=record.copied,
        )
        if folder.marked == wanted and not folder.departed:
            return None
        marker = await self._documents.marker(key)
        is_known = self._has_revisions(key, uid)
        if marker is None and not is_known and any(one.has_trained for one in folder.departed.values()):
            return self._not_erased(key)
        if marker is not None and marker.uid != uid and not is_known:
            departed = marker.uid in folder.departed or self._is_ours(key, marker)
            return self._not_erased(key) if departed else self._taken(key)
        await self._note_ends(key, marker, living=uid)
        sealed = wanted.sealed(self._cluster.signing.key)
        if marker != sealed:
            await self._documents.mark(key, sealed)
        folder.marked, folder.owner = wanted, uid
        folder.departed = {gone: one for gone, one in folder.departed.items() if gone == uid or not one.is_noted}
        if self._cluster.caches.voices.get(key.namespace, key.name) is None:  # it was deleted meanwhile
            self._queue.add(key, Priority.NORMAL)
        return None

    def _has_revisions(self, key: Key, uid: str) -> bool:
        """Return whether VoiceRevisions are the voice's: then what lies in the folder is, whatever UID it had before.

        Those of an earlier VoiceModel are not: the garbage collector takes them.
        """
        found = self._cluster.caches.revisions_of(key.namespace, key.name)
        return any(not is_deleting(item) and not is_of_earlier(item, key.name, uid) for item in found)

    def _not_erased(self, key: Key) -> Problem:
        self._queue.add(key, Priority.NORMAL)
        message = (
            f"the files of an earlier VoiceModel of this name are being erased below {self._eraser.uri(key)}; if a "
            "legal hold keeps them, choose another name"
        )
        return Problem("FolderNotErased", message)

    def _taken(self, key: Key) -> Problem:
        message = (
            f"{self._eraser.uri(key)} belongs to a VoiceModel of another installation; give each its own storage.uri, "
            f"or remove _voices/{key.namespace}/{key.name}.json from it where that installation is gone"
        )
        return Problem("FolderTaken", message)

    def _is_ours(self, key: Key, marker: Marker) -> bool:
        about = (marker.namespace, marker.voice) == (key.namespace, key.name)
        return about and marker.is_sealed(self._cluster.signing.key.public)

    # A VoiceModel that is gone

    async def _erase_departed(self, key: Key, living: VoiceRecord | None) -> float | None:
        """Erase the whole folder of a VoiceModel that exists no longer; ``living`` has its name and waits."""
        folder = self._folders[key]
        marker = await self._documents.marker(key)
        uid = self._departed_uid(key, marker)
        if uid is None or (living is not None and uid == living.uid):
            if living is None:
                del self._folders[key]
                self._eraser.forget(key)
            return None
        departed = folder.departed.get(uid)
        if departed is None and (wait := await self._seconds_until_gone(key, uid)) != 0:
            return wait
        await self._note_ends(key, marker, living="" if living is None else living.uid)
        is_held = (departed is not None and departed.legal_hold) or (marker is not None and marker.legal_hold)
        await self._note_copy(key, uid, is_held=is_held)
        if is_held:
            await self._tell_held(key, uid)
            return None
        kept = tuple(f"revisions/{name}/" for name in sorted(self._revisions(key)))
        erasure = Erasure("VoiceDeleted", keep=kept)
        count = await self._eraser.count(key, uid, erasure)
        wait = await self._seconds_until_empty(key, uid, erasure, "" if living is None else living.uid)
        if count.empty_since is not None and count.told != count.progress.objects:
            count.told = count.progress.objects  # at once; what comes late is told again
            await self._tell(key, self._eraser.erased(key, uid, count.progress))
        if wait != 0:
            return wait
        outcome = await self._eraser.outcome(key, uid, erasure, count)
        await self._bury(key, uid, outcome, marked=marker is not None)
        if living is not None:
            self._queue.add(key.about, Priority.NORMAL)
        return AGAIN_SECONDS if folder.departed else None

    async def _note_ends(self, key: Key, marker: Marker | None, *, living: str) -> None:
        """Keep which VoiceModels are gone that were served, until the log has it.

        Of one that went while nobody watched, the marker tells.
        """
        departed = self._folders[key].departed
        if marker is not None and marker.uid not in {living, *departed} and self._is_ours(key, marker):
            await self._note_end(key, marker.uid, marker.served, was_seen=False)
        for uid, one in list(departed.items()):  # more may go meanwhile, and another pass may claim the folder
            if not one.is_noted:
                await self._note_end(key, uid, one.record.served, was_seen=True)
                one.is_noted = True

    async def _note_copy(self, key: Key, uid: str, *, is_held: bool) -> None:
        """Keep what the VoiceModel has left on the Hub, unless it is held; what the journal has leaves the marker."""
        async with self._turn(key):
            marker = await self._documents.marker(key)
            if marker is None or marker.uid == uid:  # nobody else has claimed the folder meanwhile
                await self._note_copy_of(key, uid, marker, is_held=is_held)

    async def _note_copy_of(self, key: Key, uid: str, marker: Marker | None, *, is_held: bool) -> None:
        departed = self._folders[key].departed.get(uid)
        copied = departed.record.copied if departed is not None else None
        if copied is None and marker is not None and marker.uid == uid and self._is_ours(key, marker):
            copied = marker.copied
        if not is_held and not (departed is not None and departed.is_copy_noted):
            await self._withdrawals.note(JournalName(key, uid), copied)
            if departed is not None:
                departed.is_copy_noted = True
        if marker is None or not self._is_ours(key, marker):
            return
        left = marker.model_copy(update={"served": None} | ({} if is_held else {"copied": None}))
        if left != marker:
            await self._documents.mark(key, left.sealed(self._cluster.signing.key))

    async def _note_end(self, key: Key, uid: str, served: Served | None, *, was_seen: bool) -> None:
        if self._audit is None or served is None:
            return
        act = act_of_deletion(uid, served, self._clock(), was_seen=was_seen)
        await self._journals.change(
            JournalName(key, uid),
            lambda journal: journal if journal.unloaded else journal.model_copy(update={"unloaded": act}),
        )

    async def _seconds_until_empty(self, key: Key, uid: str, erasure: Erasure, living: str) -> float | None:
        """Erase the whole folder; return 0 once it has stayed empty and nobody is left who could write.

        The bundles of VoiceRevisions that exist still stay; None: they are all that is left, and their end brings the
        folder back.
        """
        count = await self._eraser.count(key, uid, erasure)
        done = await self._eraser.erase_part(key, uid, erasure, count)
        if done and (self._eraser.has_writers(key, spared=living) or self._queue.is_processing(key.about)):
            count.empty_since = None
            return WRITERS_SECONDS
        if count.empty_since is None:
            return AGAIN_SECONDS
        if erasure.keep:
            return None
        return max(count.empty_since + SETTLE_SECONDS - time.monotonic(), 0)

    async def _bury(self, key: Key, uid: str, progress: Progress, *, marked: bool) -> None:
        """Conclude the erasure of a deleted voice."""
        folder = self._folders[key]
        if marked or progress.objects:
            at = progress.time or render(self._clock())
            async with self._turn(key):
                await self._documents.bury(key, self._eraser.erased(key, uid, progress), at)
        folder.departed.pop(uid, None)
        self._eraser.forget(key, lambda name: name.uid == uid)
        if not folder.departed:
            del self._folders[key]

    def _departed_uid(self, key: Key, marker: Marker | None) -> str | None:
        """Return the UID of the VoiceModel that a folder belonged to; None: nobody's that may be erased."""
        folder = self._folders[key]
        if marker is None:
            trained = (uid for uid, departed in folder.departed.items() if departed.has_trained)
            return next(trained, None)
        if marker.uid in folder.departed or self._is_ours(key, marker):
            return marker.uid
        if not folder.told:
            folder.told = "foreign"
            log.warning("%s: its marker is of another installation, so nothing is erased", key)
        return None

    async def _seconds_until_gone(self, key: Key, uid: str) -> float | None:
        """Ask the API server whether the VoiceModel is gone: 0: it is; None: it is not; else look again then."""
        try:
            item = await self._cluster.kube.get(VOICE_MODELS, key.namespace, key.name)
        except NotFound:
            return 0
        except ClusterError as error:
            if error.reason != "Forbidden":
                raise
            log.warning("%s: nothing is erased, because nobody can tell whether the voice exists: %s", key, error)
            return None  # its namespace is gone, and our rights there; the next sweep asks again
        if item["metadata"]["uid"] == uid:
            return None
        age = (self._clock() - parse(item["metadata"]["creationTimestamp"])).total_seconds()
        return max(RESTORE_SECONDS - age, 0)

    # A VoiceModel that is there

    async def _erase_of(self, key: Key, uid: str) -> float | None:
        """Erase what a living VoiceModel says is to go."""
        folder = self._folders[key]
        wanted = self._wanted(key, uid)
        folder.done = tuple(one for one in folder.done if one in wanted)
        # One that another takes over, as an erasure does a revocation's, is over as far as it went, and recorded so.
        names = {CountName(uid, one.why, one.input_hash) for one in wanted}
        self._eraser.forget(key, lambda name: name.uid == uid and name not in names)
        waits = [await self._erase(key, uid, one) for one in wanted if one not in folder.done]
        return min((wait for wait in waits if wait is not None), default=None)

    def _wanted(self, key: Key, uid: str) -> tuple[Erasure, ...]:
        """Return what must go of a VoiceModel as it is now: a legal hold counts from the moment that we hear of it."""
        record = self._cluster.caches.voices.get(key.namespace, key.name)
        return () if record is None or record.uid != uid else erasures_of(record.claims, self._revisions(key))

    async def _erase(self, key: Key, uid: str, erasure: Erasure) -> float | None:
        folder = self._folders[key]
        count = await self._eraser.count(key, uid, erasure)
        if not await self._eraser.erase_part(key, uid, erasure, count, lambda: erasure in self._wanted(key, uid)):
            return AGAIN_SECONDS
        label = erasure.input_hash[:LABEL_LENGTH]
        if self._eraser.has_writers(key, lambda item: not label or labels_of(item).get(INPUT_HASH, "") == label):
            return WRITERS_SECONDS
        if count.empty_since is None:
            return AGAIN_SECONDS
        record = self._cluster.caches.voices.get(key.namespace, key.name)
        if record is None or record.uid != uid:
            return None  # it was deleted, and all of it goes
        outcome = await self._eraser.outcome(key, uid, erasure, count)
        self._eraser.forget(key, lambda name: name == (uid, erasure.why, erasure.input_hash))
        folder.done = (*folder.done, erasure)
        if erasure.input_hash == WHOLE and not outcome.time and self._eraser.has_tombstone(key, erasure.why):
            return None  # it was erased before this process began
        folder.finished[erasure.input_hash] = self._tombstone(record.claims, outcome)
        self._queue.add(key.about, Priority.NORMAL)
        if outcome.time:
            await self._tell(key, self._eraser.erased(key, uid, outcome))
        return None

    def _tombstone(self, claims: Claims, progress: Progress) -> Tombstone:
        entry = next((one for one in claims.inputs if one.hash == progress.input_hash), None)
        published = entry is not None and entry.published
        return Tombstone(
            revision=revision_name(claims.voice, progress.input_hash) if published else "",
            input_hash=progress.input_hash,
            digest=entry.digest if entry is not None else "",
            why=progress.why,
            time=progress.time or render(self._clock()),
            objects=progress.objects,
            bytes=progress.bytes,
        )

    # What both need

    def _awaits_status(self, key: Key, uid: str, input_hash: str) -> bool:
        """Return whether the status of a VoiceModel that exists does not tell yet what was erased of an input."""
        living, folder = self._cluster.caches.voices.get(key.namespace, key.name), self._folders.get(key)
        return living is not None and living.uid == uid and folder is not None and input_hash in folder.finished

    def _revisions(self, key: Key) -> frozenset[str]:
        """Return the names of the voice's VoiceRevisions, without those that are being deleted."""
        found = self._cluster.caches.revisions_of(key.namespace, key.name)
        return frozenset(item["metadata"]["name"] for item in found if not is_deleting(item))

    async def _tell(self, key: Key, erased: Erased) -> None:
        """Tell people."""
        event = Event("Normal" if erased.complete else "Warning", "Erased", erased.sentence, "Erase")
        log.info("%s: erased: %s", key.about, erased.sentence)
        await self._recorder.record(key.about, erased.uid, event)

    async def _tell_held(self, key: Key, uid: str) -> None:
        folder = self._folders[key]
        if folder.told == uid:
            return
        folder.told = uid
        message = f"spec.retention.legalHold was set when the voice was deleted: {self._eraser.uri(key)} stays"
        log.warning("%s: %s", key.about, message)
        if uid in folder.departed:  # else it was told when the voice went
            await self._recorder.record(key.about, uid, Event("Warning", "FilesHeld", message, "Erase"))


def _folder_of(voice: str) -> Key:
    namespace, _, name = voice.partition("/")
    return Key("VoiceFolder", namespace, name)


def _is_folder(key: Key) -> bool:
    """Return whether an address that is made of these names is a voice's folder."""
    return bool(_NAME.fullmatch(key.name) and _NAMESPACE.fullmatch(key.namespace))
