"""The object store, asked from the event loop: each call runs in a thread, and namespaces share these fairly."""

import asyncio
import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import islice
from typing import TypeVar

import voice_store
from voice_operator.cluster.listings import Listings
from voice_operator.cluster.threads import FairThreads
from voice_operator.errors import InvalidSettings, StoreError
from voice_store import (
    AlreadyExists,
    Entry,
    Misconfigured,
    NotFound,
    RetentionMode,
    StoreFactory,
    StoreUri,
    Transport,
)

MAX_DOCUMENT_BYTES = 8 << 20
MAX_EVIDENCE_BYTES = 64 << 20  # a scan, or a recording of the permission
MAX_LISTED = 200_000
THREADS = 8  # for documents
SHARE = 6  # of them, for one namespace
LIST_THREADS = 4  # for what may take long: listings and purges
LIST_SHARE = 2
CONNECTIONS = THREADS + LIST_THREADS
TRANSPORT = Transport(connect_seconds=2, read_seconds=5, retries=1, connections=CONNECTIONS)  # a pass must not wait
READ_SECONDS = 12.0  # for one document
WRITE_SECONDS = 16.0  # longer than the transport tries: what is given up does not arrive after what follows it
FINISH_SECONDS = 5.0  # for what is being written when the process ends
LIST_SECONDS = 60.0  # for everything below a prefix
ERASE_SECONDS = 10.0  # of one call
ERASED_AT_ONCE = 1000  # versions
MIN_SEGMENTS = 2  # of a folder that may be erased, beside the bucket: namespace and voice

UNSORTED = "unsorted"
JSON = "application/json"


@dataclass(frozen=True)
class Removed:
    """What was erased: objects, versions and markers of deletions."""

    objects: int = 0
    size: int = 0  # bytes
    done: bool = True  # nothing is left
    hidden: bool = False  # older versions, if the bucket keeps any, could not be seen

    def plus(self, objects: int, size: int = 0, *, hidden: bool = False) -> "Removed":
        """Return the sum."""
        return Removed(self.objects + objects, self.size + size, self.done, self.hidden or hidden)


Result = TypeVar("Result")


class _NotWantedError(Exception):
    """What was asked for is wanted no longer."""


class Store:
    """Every object store the operator may meet. ``namespace`` is whose share of the threads a call takes."""

    def __init__(self, factory: StoreFactory, schemes: frozenset[str]) -> None:
        self._factory = factory
        self._schemes = schemes
        self._documents = FairThreads("store", THREADS, SHARE)
        self._long = FairThreads("store-list", LIST_THREADS, LIST_SHARE)
        self.listings = Listings(self.fingerprint)
        self.fence: Callable[[], None] = lambda: None  # raises where this process may no longer write

    async def read(self, uri: str, namespace: str = "") -> bytes | None:
        """Return a small document, or None where there is none.

        Raises:
            StoreError: the store does not answer, refuses, or the document is too large.
        """

        def read(location: StoreUri, _: threading.Event) -> bytes | None:
            try:
                return self._factory.open(location.parent).read(location.name, limit=MAX_DOCUMENT_BYTES)
            except NotFound:
                return None

        return await self._run(read, uri, READ_SECONDS, self._documents, namespace)

    async def create(self, uri: str, data: bytes, namespace: str = "") -> bool:
        """Write a document unless there is one; return whether it was this call that wrote it.

        After an error it may be written all the same.

        Raises:
            StoreError: the store does not answer or refuses.
        """

        def create(location: StoreUri, _: threading.Event) -> bool:
            try:
                self._factory.open(location.parent).create(location.name, data, JSON)
            except AlreadyExists:
                return False
            return True

        return await self._run(create, uri, WRITE_SECONDS, self._documents, namespace, on_turn=self.fence)

    async def retain(self, uri: str, mode: RetentionMode, until: datetime, namespace: str = "") -> None:
        """Keep an object from being deleted or overwritten until then; the bucket must have object lock.

        Raises:
            StoreError: the store does not answer or refuses.
        """

        def retain(location: StoreUri, _: threading.Event) -> None:
            self._factory.open(location.parent).retain(location.name, mode, until)

        await self._run(retain, uri, WRITE_SECONDS, self._documents, namespace, on_turn=self.fence)

    async def modified(self, uri: str, namespace: str = "") -> datetime | None:
        """Return when a document was written last, by the store's clock; None: there is none.

        Raises:
            StoreError: the store does not answer or refuses.
        """

        def modified(location: StoreUri, stopped: threading.Event) -> datetime | None:
            found = _until(stopped, self._factory.open(location.parent).entries(location.name))
            return next((entry.modified for entry in found if entry.key == location.name), None)

        return await self._run(modified, uri, READ_SECONDS, self._documents, namespace)

    async def digest(self, uri: str, namespace: str = "") -> str | None:
        """Return the SHA-256 of one object as ``sha256:…``, or None where there is none.

        Raises:
            StoreError: the store does not answer, refuses, or the object has more than MAX_EVIDENCE_BYTES.
        """

        def digest(location: StoreUri, _: threading.Event) -> str | None:
            try:
                found = self._factory.open(location.parent).content(location.name, limit=MAX_EVIDENCE_BYTES)
            except NotFound:
                return None
            return found.digest

        return await self._run(digest, uri, LIST_SECONDS, self._long, namespace)

    async def fingerprint(self, uri: str, namespace: str = "") -> str | None:
        """Return ``sha256:…`` over names, sizes and tags of everything below ``uri``; None: nothing is there.

        It may wait long for its turn; LIST_SECONDS count from then.

        Raises:
            StoreError: the store does not answer or refuses, or there are too many objects.
        """

        def fingerprint(location: StoreUri, stopped: threading.Event) -> str | None:
            store = self._factory.open(location)
            found = digest_in_order(_until(stopped, store.entries()), uri)
            if found == UNSORTED:
                entries = sorted(_counted(_until(stopped, store.entries()), uri), key=lambda entry: entry.key)
                found = digest_in_order(entries, uri)
            return found

        return await self._run(fingerprint, uri, LIST_SECONDS, self._long, namespace, from_its_turn=True)

    async def write(self, uri: str, data: bytes, namespace: str = "") -> None:
        """Put a small document.

        Raises:
            StoreError: the store does not answer or refuses.
        """

        def write(location: StoreUri, _: threading.Event) -> None:
            self._factory.open(location.parent).write(location.name, data, "application/json")

        await self._run(write, uri, WRITE_SECONDS, self._documents, namespace, on_turn=self.fence)

    async def names(self, uri: str, limit: int = MAX_LISTED) -> list[Entry]:
        """Return what lies below ``uri``, by key.

        Raises:
            StoreError: the store does not answer or refuses, or there are more than ``limit`` objects.
        """

        def names(location: StoreUri, _: threading.Event) -> list[Entry]:
            return list(self._factory.open(location).list(limit=limit))

        return await self._run(names, uri, LIST_SECONDS, self._long, "", from_its_turn=True)

    async def has_any(
        self, uri: str, prefixes: tuple[str, ...], *, keep: tuple[str, ...] = (), namespace: str = ""
    ) -> bool:
        """Return whether there is something that ``erase_below`` would erase, unfinished uploads apart.

        Raises:
            StoreError: the store does not answer or refuses.
        """

        def has_any(location: StoreUri, _: threading.Event) -> bool:
            store = self._factory.open(location)
            return any(not one.key.startswith(keep) for prefix in prefixes for one in store.versions(prefix))

        return await self._run(has_any, uri, LIST_SECONDS, self._long, namespace, from_its_turn=True)

    async def erase_below(
        self,
        uri: str,
        prefixes: tuple[str, ...] = ("",),
        *,
        keep: tuple[str, ...] = (),
        namespace: str = "",
        is_wanted: Callable[[], bool] = lambda: True,
    ) -> Removed:
        """Erase everything below ``uri`` whose key starts with one of ``prefixes`` and none of ``keep``.

        ``is_wanted`` is asked in the event loop when its turn has come, and nothing is erased where it says no.

        That includes all versions and markers of deletions, and the parts of uploads that never ended. It works for
        ERASE_SECONDS at most; what is erased stays erased, and the next call goes on from there.

        Raises:
            StoreError: the store does not answer or refuses, or ``uri`` has less than MIN_SEGMENTS segments.
        """

        def erase(location: StoreUri, stopped: threading.Event) -> Removed:
            if len(location.segments) < MIN_SEGMENTS:
                raise StoreError(f"{uri} is not the folder of a voice; nothing is erased")
            store, removed, ends = self._factory.open(location), Removed(), time.monotonic() + ERASE_SECONDS
            for prefix in prefixes:
                found = (one for one in store.versions(prefix) if not one.key.startswith(keep))
                while part := list(islice(found, ERASED_AT_ONCE)):
                    if stopped.is_set() or time.monotonic() > ends:
                        return replace(removed, done=False)
                    self.fence()
                    store.erase(part)
                    hidden = location.scheme == "s3" and not all(one.version for one in part)
                    removed = removed.plus(len(part), sum(one.size for one in part), hidden=hidden)
                removed = removed.plus(store.erase_uploads(prefix))  # what is kept was written whole
            return removed

        def on_turn() -> None:
            self.fence()
            if not is_wanted():
                raise _NotWantedError

        try:
            return await self._run(erase, uri, LIST_SECONDS, self._long, namespace, from_its_turn=True, on_turn=on_turn)
        except _NotWantedError:
            return Removed(done=False)

    async def finish(self) -> None:
        """Wait for what is being written, for FINISH_SECONDS at most: it must not arrive after what others write."""
        await asyncio.gather(*(threads.finish(FINISH_SECONDS) for threads in (self._documents, self._long)))

    def close(self) -> None:
        """Let the threads end."""
        self.listings.close()
        self._documents.close()
        self._long.close()

    async def _run(
        self,
        call: Callable[[StoreUri, threading.Event], Result],
        uri: str,
        seconds: float,
        threads: FairThreads,
        namespace: str,
        *,
        from_its_turn: bool = False,
        on_turn: Callable[[], None] = lambda: None,
    ) -> Result:
        """Run a call in a thread; when its time is over it is told to stop, and nobody waits for it."""
        stopped, loop = threading.Event(), asyncio.get_running_loop()
        try:
            location = StoreUri.parse(uri)
            if location.scheme not in self._schemes:
                raise StoreError(f"{uri}: the operator has no access to {location.scheme}:// addresses")
            async with asyncio.timeout(None if from_its_turn else seconds) as limit:

                def begin() -> None:
                    on_turn()
                    if from_its_turn:
                        limit.reschedule(loop.time() + seconds)

                return await threads.run(namespace, partial(call, location, stopped), begin)
        except TimeoutError as error:
            raise StoreError(f"{uri}: the object store has not answered within {seconds:.0f} s") from error
        except voice_store.StoreError as error:
            raise StoreError(str(error)) from error
        finally:
            stopped.set()


def digest_in_order(entries: Iterable[Entry], uri: str) -> str | None:
    """Return the fingerprint of entries that come sorted by key, UNSORTED where they do not, None where there are none.

    Nothing is kept of them: a listing of 200,000 objects takes no memory.

    Raises:
        StoreError: there are more than MAX_LISTED.
    """
    digest, last = hashlib.sha256(), None
    for entry in _counted(entries, uri):
        if last is not None and entry.key < last:
            return UNSORTED
        digest.update(f"{entry.key}\t{entry.size}\t{entry.etag}\n".encode())
        last = entry.key
    return None if last is None else f"sha256:{digest.hexdigest()}"


def _counted(entries: Iterable[Entry], uri: str) -> Iterator[Entry]:
    for number, entry in enumerate(entries):
        if number >= MAX_LISTED:
            raise StoreError(f"{uri} holds more than {MAX_LISTED} objects; name a narrower prefix")
        yield entry


def _until(stopped: threading.Event, entries: Iterable[Entry]) -> Iterator[Entry]:
    """Yield entries until nobody waits for them any more."""
    for entry in entries:
        if stopped.is_set():
            raise StoreError("nobody waits for this listing any more")
        yield entry


def open_store(storage_uri: str, environment: Mapping[str, str] = os.environ) -> Store:
    """Return the store; how S3 is reached comes from the environment, as ``voice_store.settings`` lists it.

    Raises:
        InvalidSettings: ``storage.uri`` is no URI, or a variable has a value that cannot work.
    """
    try:
        factory = StoreFactory(environment, transport=TRANSPORT)
        scheme = StoreUri.parse(storage_uri).scheme
        if scheme == "s3":
            factory.connect()  # what is known to be wrong now should not wait for the first voice
    except Misconfigured as error:
        raise InvalidSettings(str(error)) from error
    return Store(factory, frozenset({"s3", scheme}))
