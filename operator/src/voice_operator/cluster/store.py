"""The object store, asked from the event loop: each call runs in one of a few threads."""

import asyncio
import hashlib
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import TypeVar

import voice_store
from voice_operator.errors import InvalidSettings, StoreError
from voice_store import Misconfigured, NotFound, StoreFactory, StoreUri, Transport

MAX_DOCUMENT_BYTES = 8 << 20
MAX_EVIDENCE_BYTES = 64 << 20  # a scan, or a recording of the permission
MAX_LISTED = 200_000
THREADS = 8
TRANSPORT = Transport(connect_seconds=2, read_seconds=5, retries=1, connections=THREADS)  # a pass must not wait long
READ_SECONDS = 12.0  # for one document
LIST_SECONDS = 60.0  # for everything below a prefix

Result = TypeVar("Result")


class Store:
    """Every object store the operator may meet."""

    def __init__(self, factory: StoreFactory, schemes: frozenset[str]) -> None:
        self._factory = factory
        self._schemes = schemes
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="store")

    async def read(self, uri: str) -> bytes | None:
        """Return a small document, or None where there is none.

        Raises:
            StoreError: the store does not answer, refuses, or the document is too large.
        """

        def read(location: StoreUri) -> bytes | None:
            try:
                return self._factory.open(location.parent).read(location.name, limit=MAX_DOCUMENT_BYTES)
            except NotFound:
                return None

        return await self._run(read, uri, READ_SECONDS)

    async def modified(self, uri: str) -> datetime | None:
        """Return when a document was written last, by the store's clock; None: there is none.

        Raises:
            StoreError: the store does not answer or refuses.
        """

        def modified(location: StoreUri) -> datetime | None:
            found = self._factory.open(location.parent).list(location.name, limit=MAX_LISTED)
            return next((entry.modified for entry in found if entry.key == location.name), None)

        return await self._run(modified, uri, READ_SECONDS)

    async def digest(self, uri: str) -> str | None:
        """Return the SHA-256 of one object as ``sha256:…``, or None where there is none.

        Raises:
            StoreError: the store does not answer, refuses, or the object has more than MAX_EVIDENCE_BYTES.
        """

        def digest(location: StoreUri) -> str | None:
            try:
                found = self._factory.open(location.parent).content(location.name, limit=MAX_EVIDENCE_BYTES)
            except NotFound:
                return None
            return found.digest

        return await self._run(digest, uri, LIST_SECONDS)

    async def fingerprint(self, uri: str) -> str | None:
        """Return ``sha256:…`` over names, sizes and tags of everything below ``uri``; None: nothing is there.

        Raises:
            StoreError: the store does not answer or refuses, or there are too many objects.
        """

        def fingerprint(location: StoreUri) -> str | None:
            found = self._factory.open(location).list(limit=MAX_LISTED)
            lines = "".join(f"{entry.key}\t{entry.size}\t{entry.etag}\n" for entry in found)
            return f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}" if found else None

        return await self._run(fingerprint, uri, LIST_SECONDS)

    async def remove_below(self, uri: str, *, first: tuple[str, ...] = ()) -> int:
        """Remove everything below ``uri``, the keys of ``first`` before the others; return how many objects that were.

        Raises:
            StoreError: the store does not answer or refuses.
        """

        def remove(location: StoreUri) -> int:
            store = self._factory.open(location)
            keys = [entry.key for entry in store.entries()]
            store.delete_all([key for key in first if key in keys])
            store.delete_all([key for key in keys if key not in first])
            return len(keys)

        return await self._run(remove, uri, LIST_SECONDS)

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, call: Callable[[StoreUri], Result], uri: str, seconds: float) -> Result:
        """Run a call in a thread; when its time is over the thread goes on, but nobody waits for it."""
        try:
            location = StoreUri.parse(uri)
            if location.scheme not in self._schemes:
                raise StoreError(f"{uri}: the operator has no access to {location.scheme}:// addresses")
            async with asyncio.timeout(seconds):
                return await asyncio.get_running_loop().run_in_executor(self._threads, call, location)
        except TimeoutError as error:
            raise StoreError(f"{uri}: the object store has not answered within {seconds:.0f} s") from error
        except voice_store.StoreError as error:
            raise StoreError(str(error)) from error


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
