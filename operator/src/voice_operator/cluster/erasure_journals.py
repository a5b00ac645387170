"""What was erased of each VoiceModel and is not recorded yet, kept in the store: no process has to live that long.

An entry is written before the first file goes, and struck out once the voice's status and the audit log have it.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal, Self
from weakref import WeakValueDictionary

from pydantic import Field

from voice_operator.api.voice_status import Act, ErasureReason
from voice_operator.cluster.sealed import SealedDocument
from voice_operator.cluster.store import Removed, Store
from voice_operator.documents import Document
from voice_operator.errors import InvalidDocument
from voice_operator.reconcile.erasure import Copied, Erasure
from voice_operator.reconcile.names import Key, journal_uri
from voice_operator.signing import SigningKey
from voice_store import StoreUri

MAX_ENTRIES = 1024

log = logging.getLogger(__name__)


class Progress(Document):
    """One erasure, and what has gone of it."""

    why: ErasureReason
    input_hash: str = Field("", max_length=64, description="Empty: everything.")
    prefixes: tuple[str, ...] = Field(("",), max_length=8, description="Below the folder of the voice.")
    objects: int = Field(0, ge=0)
    bytes: int = Field(0, ge=0)
    hidden: bool = Field(False, description="Older versions, if the bucket keeps any, could not be seen.")
    at_least: bool = Field(False, description="An attempt ended without an answer: more may have gone than is counted.")
    time: str = Field("", max_length=32, description="When it was complete; empty: it goes on.")

    @classmethod
    def of(cls, erasure: Erasure) -> Self:
        """Return what a new erasure begins with."""
        return cls(why=erasure.why, input_hash=erasure.input_hash, prefixes=erasure.prefixes)

    def concerns(self, erasure: Erasure) -> bool:
        """Return whether it is about this erasure."""
        return (self.why, self.input_hash) == (erasure.why, erasure.input_hash)

    def plus(self, removed: Removed) -> Self:
        """Return it with what has gone since."""
        counted = {"objects": self.objects + removed.objects, "bytes": self.bytes + removed.size}
        return self.model_copy(update=counted | {"hidden": self.hidden or removed.hidden})


class Withdrawal(Document):
    """The copy on the Hub of a VoiceModel that is gone."""

    copied: Copied
    since: str = Field(max_length=32)
    time: str = Field("", max_length=32, description="When it was over; empty: it goes on.")
    problem: str = Field("", max_length=1024, description="Why the copy is still there, once it is over.")


class ErasureJournal(SealedDocument):
    """What is erased of one VoiceModel, and the act that tells of its end."""

    later: ClassVar[frozenset[str]] = frozenset({"withdrawal"})

    schema_: Literal["voice.sovits.dev/erasure-journal/v1"] = Field(
        "voice.sovits.dev/erasure-journal/v1", alias="schema"
    )
    namespace: str = Field(max_length=63)
    voice: str = Field(max_length=63)
    uid: str = Field(max_length=64)
    unloaded: Act | None = Field(None, description="It was deleted while it was served.")
    withdrawal: Withdrawal | None = Field(None, description="It was deleted while it had a copy on the Hub.")
    erasures: tuple[Progress, ...] = Field((), max_length=MAX_ENTRIES)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left to be recorded."""
        return self.unloaded is None and self.withdrawal is None and not self.erasures

    def noting(self, progress: Progress) -> Self:
        """Return the journal with an erasure as it stands now; one that is complete is left alone."""
        others = [one for one in self.erasures if one.time or (one.why, one.input_hash) != _name(progress)]
        return self.model_copy(update={"erasures": (*others, progress)})


@dataclass(frozen=True)
class JournalName:
    """The VoiceModel that a journal is about."""

    folder: Key
    uid: str


class ErasureJournals:
    """The journals, as this process has read and written them."""

    def __init__(self, store: Store, storage: str, key: Callable[[], SigningKey]) -> None:
        self._store = store
        self._storage = storage
        self._key = key
        self._known: defaultdict[Key, dict[str, ErasureJournal]] = defaultdict(dict)
        self._locks: WeakValueDictionary[JournalName, asyncio.Lock] = WeakValueDictionary()

    def about(self, folder: Key) -> list[ErasureJournal]:
        """Return those of a folder that this process knows and that have something to say."""
        return list(self._known.get(folder, {}).values())

    async def read(self, name: JournalName) -> ErasureJournal:
        """Return a journal, after changes that are under way; an empty one where there is none.

        Raises:
            StoreError: the store failed.
        """
        async with self._lock(name):
            return await self._get(name)

    def _lock(self, name: JournalName) -> asyncio.Lock:
        return self._locks.setdefault(name, asyncio.Lock())

    async def _get(self, name: JournalName) -> ErasureJournal:
        known = self._known.get(name.folder, {}).get(name.uid)
        if known is None:
            known = await self._read(name)
            if not known.is_empty:
                self._known[name.folder][name.uid] = known
        return known

    @property
    def withdrawals(self) -> list[Withdrawal]:
        """Those that go on, of all folders that this process knows."""
        found = (one.withdrawal for journals in self._known.values() for one in journals.values())
        return [one for one in found if one is not None and not one.time]

    async def change(self, name: JournalName, change: Callable[[ErasureJournal], ErasureJournal]) -> None:
        """Keep what a change makes of a journal; others who change it at the same time wait.

        Raises:
            StoreError: the store failed; it may be written all the same.
        """
        async with self._lock(name):
            journal = await self._get(name)
            if (changed := change(journal)) != journal:
                await self._write(name, changed)

    async def _write(self, name: JournalName, journal: ErasureJournal) -> None:
        """Keep what is not recorded yet; where that is nothing, the journal goes."""
        uri = self._uri(name)
        if journal.is_empty:
            location = StoreUri.parse(uri)
            await self._store.erase_below(str(location.parent), (location.name,), namespace=name.folder.namespace)
            self._known[name.folder].pop(name.uid, None)
            if not self._known[name.folder]:
                del self._known[name.folder]
            return
        data = journal.sealed(self._key()).model_dump_json(by_alias=True).encode()
        await self._store.write(uri, data, name.folder.namespace)
        self._known[name.folder][name.uid] = journal

    async def _read(self, name: JournalName) -> ErasureJournal:
        folder, uri = name.folder, self._uri(name)
        empty = ErasureJournal(namespace=folder.namespace, voice=folder.name, uid=name.uid)
        data = await self._store.read(uri, folder.namespace)
        if data is None:
            return empty
        try:
            found = ErasureJournal.read(data, uri)
        except InvalidDocument as error:
            log.warning("%s: what it says of erasures is not recorded: %s", folder, error)
            return empty
        about = (found.namespace, found.voice, found.uid)
        if about != (folder.namespace, folder.name, name.uid) or not found.is_sealed(self._key().public):
            log.warning("%s: %s was not written by this installation; nothing of it is recorded", folder, uri)
            return empty
        return found.model_copy(update={"erasures": tuple(map(_resumed, found.erasures)), "seal": ""})

    def _uri(self, name: JournalName) -> str:
        return journal_uri(self._storage, name.folder.namespace, name.folder.name, name.uid)


def _resumed(progress: Progress) -> Progress:
    """Return an erasure as a later process finds it: what went after the last note was counted by nobody."""
    return progress if progress.time else progress.model_copy(update={"at_least": True})


def _name(progress: Progress) -> tuple[str, str]:
    return progress.why, progress.input_hash
