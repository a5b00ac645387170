"""Erases what voices leave in the object store: those that are deleted or revoked, and inputs that nobody needs.

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
from typing import Protocol

from voice_operator.api.schema import VOICE_NAME
from voice_operator.api.voice_status import ErasureReason, Tombstone
from voice_operator.cluster.caches import JOB_NAME
from voice_operator.cluster.events import EventRecorder
from voice_operator.cluster.folders import Folders, Marker
from voice_operator.cluster.jobs import is_finished
from voice_operator.cluster.kube import VOICE_MODELS, Object
from voice_operator.cluster.objects import is_deleting, is_owned_by
from voice_operator.cluster.observe import Cluster
from voice_operator.cluster.pods import phase
from voice_operator.cluster.store import Removed
from voice_operator.errors import ClusterError, NotFound, OperatorError, StoreError
from voice_operator.manifests.labels import INPUT_HASH, LABEL_LENGTH, VOICE_MODEL
from voice_operator.queue import Priority, WorkQueue
from voice_operator.reconcile.desired import VoiceRecord
from voice_operator.reconcile.erasure import WHOLE, Claims, Erased, Erasure, erasures_of
from voice_operator.reconcile.events import Event
from voice_operator.reconcile.names import Key, revision_name, voice_folder
from voice_operator.reconcile.observed import Problem, Voice
from voice_operator.reconcile.times import parse, render

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


class Recorder(Protocol):
    """Keeps records of what this does; told in the event loop."""

    def departed(self, record: VoiceRecord) -> None:
        """A VoiceModel is gone; what it left is not erased yet."""

    def erased(self, erased: Erased) -> None:
        """An erasure is complete."""


@dataclass
class _Departed:
    """A VoiceModel of which a watch or a list told that it is deleted."""

    record: VoiceRecord
    is_recorded: bool = False

    @property
    def legal_hold(self) -> bool:
        return self.record.legal_hold

    @property
    def has_trained(self) -> bool:
        return self.record.has_trained


@dataclass
class _Count:
    """What was erased of one thing until now, over several looks."""

    objects: int = 0
    size: int = 0
    complete: bool = True
    told: int = 0  # objects that people were told of
    empty_since: float | None = None  # of the monotonic clock: since when looks find nothing

    def add(self, removed: Removed) -> None:
        self.objects += removed.objects
        self.size += removed.size
        self.complete = self.complete and not removed.hidden
        if removed.objects or not removed.done:
            self.empty_since = None
        elif self.empty_since is None:
            self.empty_since = time.monotonic()


@dataclass
class _Folder:
    """What is remembered of a voice's folder between two looks."""

    departed: dict[str, _Departed] = field(default_factory=dict)  # by UID
    counts: dict[str, _Count] = field(default_factory=lambda: defaultdict(_Count))  # by input hash, or by UID
    finished: dict[str, Tombstone] = field(default_factory=dict)  # by input hash
    owner: str = ""  # UID of the VoiceModel that is known to own it
    marked: tuple[str, bool] = ("", False)  # UID and legal hold that the marker is known to have
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
        self._documents = Folders(cluster.store, cluster.settings.storage.uri)
        self._folders: defaultdict[Key, _Folder] = defaultdict(_Folder)

    def on_deleted(self, record: VoiceRecord) -> None:
        """Note that a VoiceModel is gone for certain."""
        self._folders[_folder_of(record.id)].departed[record.uid] = _Departed(record)

    def finished(self, voice: Key, uid: str) -> Mapping[str, Tombstone]:
        """Return what was erased of a voice and is not acknowledged, by input hash."""
        folder = self._folders.get(_folder_of(f"{voice.namespace}/{voice.name}"))
        return {} if folder is None or folder.owner != uid else dict(folder.finished)

    def acknowledge(self, voice: Key, erased: Mapping[str, Tombstone]) -> None:
        """Forget what the voice's status records now."""
        folder = self._folders.get(_folder_of(f"{voice.namespace}/{voice.name}"))
        for digest, tombstone in erased.items():
            if folder is not None and folder.finished.get(digest) == tombstone:
                del folder.finished[digest]

    async def claim(self, voice: Voice, *, is_known: bool) -> Problem | None:
        """Make the folder of a voice its own before anything is written there; return why that must wait, or None.

        ``is_known``: revisions of the voice exist, so what lies there is its own, whatever UID it had.

        Raises:
            StoreError: the store failed.
            InvalidDocument: somebody else wrote the folder's marker.
        """
        key = _folder_of(voice.id)
        return await self._claim(key, voice.uid, hold=voice.spec.retention.legal_hold, is_known=is_known)

    async def reconcile(self, key: Key) -> float | None:
        """Erase what must go of one folder; idempotent. Return the seconds after which to look again, or None.

        Raises:
            OperatorError: a dependency failed; the caller requeues the key.
        """
        if not _NAME.fullmatch(key.name) or not _NAMESPACE.fullmatch(key.namespace):
            return None  # no address that is made of them is a voice's folder
        record = self._cluster.caches.voices.get(key.namespace, key.name)
        if record is None:
            return await self._erase_departed(key, None)
        revisions = self._revisions(key)
        concerned = record.has_trained or revisions or erasures_of(record.claims, revisions)
        if concerned:
            try:
                await self._claim(key, record.uid, hold=record.legal_hold, is_known=bool(revisions))
            except StoreError as error:  # nothing of this voice may be due, and then nobody needs to be told
                log.warning("%s: %s", key, error)
                return STORE_SECONDS
        if self._folders[key].marked[0] != record.uid:
            return await self._erase_departed(key, record)
        return await self._erase_of(key, record, revisions)

    async def sweep(self) -> None:
        """Look for folders of voices that were deleted while nobody watched; for ever."""
        while True:
            try:
                for key in await self._documents.marked(self._cluster.settings.namespaces):
                    if self._cluster.caches.voices.get(key.namespace, key.name) is None:
                        self._queue.add(key, Priority.LOW)
                pause = SWEEP_SECONDS
            except OperatorError as error:
                log.warning("the folders of deleted voices could not be listed: %s", error)
                pause = SWEEP_RETRY_SECONDS
            await asyncio.sleep(pause)

    # The folder's owner

    async def _claim(self, key: Key, uid: str, *, hold: bool, is_known: bool) -> Problem | None:
        folder = self._folders[key]
        if folder.marked == (uid, hold):
            return None
        marker = await self._documents.marker(key)
        if marker is None and not is_known and any(one.has_trained for one in folder.departed.values()):
            return self._not_erased(key)
        if marker is not None and marker.uid != uid and not is_known:
            departed = marker.uid in folder.departed or self._is_ours(key, marker)
            return self._not_erased(key) if departed else self._taken(key)
        wanted = Marker(namespace=key.namespace, voice=key.name, uid=uid, legal_hold=hold)
        wanted = wanted.sealed(self._cluster.signing.key)
        if marker != wanted:
            await self._documents.mark(key, wanted)
        folder.marked, folder.owner = (uid, hold), uid
        folder.departed.clear()
        if self._cluster.caches.voices.get(key.namespace, key.name) is None:  # it was deleted meanwhile
            self._queue.add(key, Priority.NORMAL)
        return None

    def _not_erased(self, key: Key) -> Problem:
        self._queue.add(key, Priority.NORMAL)
        message = (
            f"the files of an earlier VoiceModel of this name are being erased below {self._uri(key)}; if a legal hold "
            "keeps them, choose another name"
        )
        return Problem("FolderNotErased", message)

    def _taken(self, key: Key) -> Problem:
        message = (
            f"{self._uri(key)} belongs to a VoiceModel of another installation; give each its own storage.uri, or "
            f"remove _voices/{key.namespace}/{key.name}.json from it where that installation is gone"
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
            return None
        departed = folder.departed.get(uid)
        if departed is None and (wait := await self._seconds_until_gone(key, uid)) != 0:
            return wait
        if departed is not None and not departed.is_recorded:
            departed.is_recorded = True
            if self._audit is not None:
                self._audit.departed(departed.record)
        if (departed is not None and departed.legal_hold) or (marker is not None and marker.legal_hold):
            await self._tell_held(key, uid)
            return None
        count = folder.counts[uid]
        wait = await self._seconds_until_empty(key, count, "" if living is None else living.uid)
        erased = self._erased(key, uid, "VoiceDeleted", count, ("",))
        if count.empty_since is not None and count.told != count.objects:
            count.told = count.objects  # at once; what comes late is told again
            await self._tell(key, erased)
        if wait != 0:
            return wait
        await self._bury(key, erased, marked=marker is not None)
        if living is not None:
            self._queue.add(key.about, Priority.NORMAL)
        return AGAIN_SECONDS if folder.departed else None

    async def _seconds_until_empty(self, key: Key, count: _Count, living: str) -> float | None:
        """Erase the whole folder; return 0 once it has stayed empty and nobody is left who could write.

        The bundles of VoiceRevisions that exist still stay; None: they are all that is left, and their end brings the
        folder back.
        """
        kept = tuple(f"revisions/{name}/" for name in sorted(self._revisions(key)))
        removed = await self._cluster.store.erase_below(self._uri(key), keep=kept, namespace=key.namespace)
        count.add(removed)
        if removed.done and self._has_writers(key, lambda _: True, spared=living):
            count.empty_since = None
            return WRITERS_SECONDS
        if count.empty_since is None:
            return AGAIN_SECONDS
        if kept:
            return None
        return max(count.empty_since + SETTLE_SECONDS - time.monotonic(), 0)

    async def _bury(self, key: Key, erased: Erased, *, marked: bool) -> None:
        """Conclude the erasure of a deleted voice."""
        folder = self._folders[key]
        if marked or erased.objects:
            await self._documents.bury(key, erased, render(self._clock()))
        folder.departed.pop(erased.uid, None)
        folder.counts.pop(erased.uid, None)
        if erased.objects:
            self._hand_on(erased)
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

    async def _erase_of(self, key: Key, record: VoiceRecord, revisions: frozenset[str]) -> float | None:
        """Erase what a living VoiceModel says is to go."""
        folder = self._folders[key]
        wanted = erasures_of(record.claims, revisions)
        folder.done = tuple(one for one in folder.done if one in wanted)
        waits = [await self._erase(key, record, one) for one in wanted if one not in folder.done]
        return min((wait for wait in waits if wait is not None), default=None)

    async def _erase(self, key: Key, record: VoiceRecord, erasure: Erasure) -> float | None:
        folder = self._folders[key]
        count = folder.counts[erasure.input_hash]
        store, uri = self._cluster.store, self._uri(key)
        removed = await store.erase_below(uri, erasure.prefixes, keep=erasure.keep, namespace=key.namespace)
        count.add(removed)
        if not removed.done:
            return AGAIN_SECONDS
        label = erasure.input_hash[:LABEL_LENGTH]
        if self._has_writers(key, lambda item: not label or _labels(item).get(INPUT_HASH, "") == label):
            return WRITERS_SECONDS
        if count.empty_since is None:
            return AGAIN_SECONDS
        del folder.counts[erasure.input_hash]
        folder.done = (*folder.done, erasure)
        if erasure.input_hash == WHOLE and not count.objects and self._has_tombstone(key, erasure.why):
            return None  # it was erased before this process began
        folder.finished[erasure.input_hash] = self._tombstone(record.claims, erasure, count)
        self._queue.add(key.about, Priority.NORMAL)
        if count.objects:
            erased = self._erased(key, record.uid, erasure.why, count, erasure.prefixes)
            self._hand_on(erased)
            await self._tell(key, erased)
        return None

    def _tombstone(self, claims: Claims, erasure: Erasure, count: _Count) -> Tombstone:
        entry = next((one for one in claims.inputs if one.hash == erasure.input_hash), None)
        published = entry is not None and entry.published
        return Tombstone(
            revision=revision_name(claims.voice, erasure.input_hash) if published else "",
            input_hash=erasure.input_hash,
            digest=entry.digest if entry is not None else "",
            why=erasure.why,
            time=render(self._clock()),
            objects=count.objects,
            bytes=count.size,
        )

    def _has_tombstone(self, key: Key, why: ErasureReason) -> bool:
        item = self._cluster.caches.voice(key.namespace, key.name) or {}
        known = (item.get("status") or {}).get("erased") or ()
        return any(one.get("why") == why and not one.get("inputHash") for one in known)

    # What both need

    def _revisions(self, key: Key) -> frozenset[str]:
        """Return the names of the voice's VoiceRevisions, without those that are being deleted."""
        found = self._cluster.caches.revisions_of(key.namespace, key.name)
        return frozenset(item["metadata"]["name"] for item in found if not is_deleting(item))

    def _has_writers(self, key: Key, concerns: Callable[[Object], bool], spared: str = "") -> bool:
        """Return whether a Job or a pod of the voice's stages could still write; ``spared``: the owner of others."""
        caches = self._cluster.caches
        jobs = [job for job in caches.jobs_of(key.namespace, key.name) if not (spared and is_owned_by(job, spared))]
        if any(concerns(job) and not is_finished(job) for job in jobs):
            return True
        own = {job["metadata"]["name"] for job in caches.jobs_of(key.namespace, key.name)} - {
            job["metadata"]["name"] for job in jobs
        }
        return any(
            concerns(pod) and phase(pod) not in {"Succeeded", "Failed"}
            for pod in caches.stage_pods.values()
            if pod["metadata"]["namespace"] == key.namespace
            and _labels(pod).get(VOICE_MODEL) == key.name
            and _labels(pod).get(JOB_NAME) not in own
        )

    def _uri(self, key: Key) -> str:
        return voice_folder(self._cluster.settings.storage.uri, key.namespace, key.name)

    def _erased(self, key: Key, uid: str, why: ErasureReason, count: _Count, prefixes: tuple[str, ...]) -> Erased:
        uris = tuple(f"{self._uri(key)}/{prefix}" for prefix in prefixes)
        voice = f"{key.namespace}/{key.name}"
        return Erased(voice, uid, count.objects, count.size, uris, why, complete=count.complete)

    def _hand_on(self, erased: Erased) -> None:
        """Tell whoever keeps records."""
        if self._audit is not None:
            self._audit.erased(erased)

    async def _tell(self, key: Key, erased: Erased) -> None:
        """Tell people."""
        hidden = "" if erased.complete else "; older versions were not seen: the keys lack s3:ListBucketVersions"
        message = (
            f"{erased.why}: {erased.objects} objects of {erased.bytes} bytes are erased below "
            f"{', '.join(erased.prefixes)}{hidden}"
        )
        event = Event("Normal" if erased.complete else "Warning", "Erased", message, "Erase")
        log.info("%s: %s", key.about, message)
        await self._recorder.record(key.about, erased.uid, event)

    async def _tell_held(self, key: Key, uid: str) -> None:
        folder = self._folders[key]
        if folder.told == uid:
            return
        folder.told = uid
        message = f"spec.retention.legalHold was set when the voice was deleted: {self._uri(key)} stays"
        log.warning("%s: %s", key.about, message)
        if uid in folder.departed:  # else it was told when the voice went
            await self._recorder.record(key.about, uid, Event("Warning", "FilesHeld", message, "Erase"))


def _folder_of(voice: str) -> Key:
    namespace, _, name = voice.partition("/")
    return Key("VoiceFolder", namespace, name)


def _labels(item: Object) -> Mapping[str, str]:
    return item["metadata"].get("labels") or {}
