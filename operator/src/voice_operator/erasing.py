"""Erases what lies in the folder of a voice: part by part, counted, and noted in the journal before and after."""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from voice_operator.api.voice_status import ErasureReason
from voice_operator.cluster.caches import JOB_NAME
from voice_operator.cluster.erasure_journals import ErasureJournals, JournalName, Progress
from voice_operator.cluster.jobs import is_finished
from voice_operator.cluster.kube import Object
from voice_operator.cluster.objects import is_owned_by
from voice_operator.cluster.observe import Cluster
from voice_operator.cluster.pods import phase
from voice_operator.errors import StoreError
from voice_operator.manifests.labels import COPY, VOICE_MODEL
from voice_operator.reconcile.erasure import WHOLE, Erased, Erasure
from voice_operator.reconcile.names import Key, voice_folder
from voice_operator.reconcile.times import render


class CountName(NamedTuple):
    """What a count is of, in one folder."""

    uid: str
    why: ErasureReason
    input_hash: str


@dataclass
class Count:
    """What was erased of one thing until now, over several looks."""

    progress: Progress
    is_noted: bool = False  # in the journal: something was there
    told: int = 0  # objects that people were told of
    empty_since: float | None = None  # of the monotonic clock: since when looks find nothing


class Eraser:
    """The erasures that are under way."""

    def __init__(self, cluster: Cluster, journals: ErasureJournals, clock: Callable[[], datetime]) -> None:
        self._cluster = cluster
        self._journals = journals
        self._clock = clock
        self._counts: defaultdict[Key, dict[CountName, Count]] = defaultdict(dict)

    async def count(self, key: Key, uid: str, erasure: Erasure) -> Count:
        """Return how far an erasure is: by this process, or by one before it that the journal tells of.

        Raises:
            StoreError: the store failed.
        """
        name = CountName(uid, erasure.why, erasure.input_hash)
        if name not in self._counts[key]:
            journal = await self._journals.read(JournalName(key, uid))
            begun = next((one for one in journal.erasures if one.concerns(erasure) and not one.time), None)
            self._counts[key][name] = Count(begun or Progress.of(erasure), is_noted=begun is not None)
        return self._counts[key][name]

    def forget(self, key: Key, concerns: Callable[[CountName], bool] = lambda _: True) -> None:
        """Forget how far erasures of a folder are: those that are over, or that nobody wants any more."""
        left = {name: count for name, count in self._counts.pop(key, {}).items() if not concerns(name)}
        if left:
            self._counts[key] = left

    def goes_on(self, key: Key, uid: str, progress: Progress) -> bool:
        """Return whether an entry of a journal is of an erasure that is under way."""
        return CountName(uid, progress.why, progress.input_hash) in self._counts.get(key, ())

    async def erase_part(
        self, key: Key, uid: str, erasure: Erasure, count: Count, is_wanted: Callable[[], bool] = lambda: True
    ) -> bool:
        """Erase what is there, for some seconds; return whether nothing is left. What goes is noted before and after.

        It may wait for its turn; ``is_wanted`` says whether it must go still when that has come.

        Raises:
            StoreError: the store failed; what it erased before that is counted by nobody.
        """
        if not is_wanted():
            return False
        store, uri = self._cluster.store, self.uri(key)
        prefixes, keep = erasure.prefixes, erasure.keep
        if not count.is_noted and await store.has_any(uri, prefixes, keep=keep, namespace=key.namespace):
            await self._note(key, uid, count)
        try:
            removed = await store.erase_below(uri, prefixes, keep=keep, namespace=key.namespace, is_wanted=is_wanted)
        except StoreError:
            count.progress = count.progress.model_copy(update={"at_least": count.is_noted})
            raise
        if removed.objects or not removed.done:
            count.empty_since = None
        elif count.empty_since is None:
            count.empty_since = time.monotonic()
        if removed.objects:
            count.progress = count.progress.plus(removed)
            await self._note(key, uid, count)
        return removed.done

    async def outcome(self, key: Key, uid: str, erasure: Erasure, count: Count) -> Progress:
        """Return an erasure that is over, with its time: every record of it is the same one. No time: nothing went.

        Where this process found nothing, it may be what an earlier one completed, and no status has.

        Raises:
            StoreError: the store failed.
        """
        if count.is_noted:
            count.progress = count.progress.model_copy(update={"time": render(self._clock())})
            await self._note(key, uid, count)
            return count.progress
        journal = await self._journals.read(JournalName(key, uid))
        earlier = [one for one in journal.erasures if one.concerns(erasure) and one.time]
        earlier = [one for one in earlier if not self.has_tombstone(key, one.why, one.input_hash, one.time)]
        return earlier[-1] if earlier else count.progress

    async def _note(self, key: Key, uid: str, count: Count) -> None:
        await self._journals.change(JournalName(key, uid), lambda journal: journal.noting(count.progress))
        count.is_noted = True

    def has_tombstone(self, key: Key, why: ErasureReason, input_hash: str = WHOLE, at: str = "") -> bool:
        """Return whether the status records such an erasure; at this time, if one is given."""
        item = self._cluster.caches.voice(key.namespace, key.name) or {}
        known = (item.get("status") or {}).get("erased") or ()
        return any(
            (one.get("why"), one.get("inputHash", ""), at and one.get("time")) == (why, input_hash, at) for one in known
        )

    def has_writers(self, key: Key, concerns: Callable[[Object], bool] = lambda _: True, spared: str = "") -> bool:
        """Return whether a Job or a pod of the voice's stages could still write; ``spared``: the owner of others."""
        caches = self._cluster.caches
        jobs = [job for job in caches.jobs_of(key.namespace, key.name) if not (spared and is_owned_by(job, spared))]
        jobs = [job for job in jobs if COPY not in labels_of(job)]  # those of the Hub read only
        if any(concerns(job) and not is_finished(job) for job in jobs):
            return True
        own = {job["metadata"]["name"] for job in caches.jobs_of(key.namespace, key.name)} - {
            job["metadata"]["name"] for job in jobs
        }
        return any(
            concerns(pod) and phase(pod) not in {"Succeeded", "Failed"}
            for pod in caches.stage_pods.values()
            if pod["metadata"]["namespace"] == key.namespace
            and labels_of(pod).get(VOICE_MODEL) == key.name
            and labels_of(pod).get(JOB_NAME) not in own
        )

    def erased(self, key: Key, uid: str, progress: Progress) -> Erased:
        """Return what is told of an erasure."""
        return Erased(
            f"{key.namespace}/{key.name}",
            uid,
            progress.objects,
            progress.bytes,
            tuple(f"{self.uri(key)}/{prefix}" for prefix in progress.prefixes),
            progress.why,
            complete=not progress.hidden,
            at_least=progress.at_least,
        )

    def uri(self, key: Key) -> str:
        """Return where a voice's files lie."""
        return voice_folder(self._cluster.settings.storage.uri, key.namespace, key.name)


def labels_of(item: Object) -> Mapping[str, str]:
    """Return an object's labels."""
    return item["metadata"].get("labels") or {}
