"""The interface of every store: objects named by keys such as ``clips/0001.flac`` below one URI."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Final, Literal

from voice_store.errors import DigestMismatch, TooLarge
from voice_store.files import Content, bounded, content_of, content_of_file, write_whole
from voice_store.uris import StoreUri

MIB: Final = 1024 * 1024
DOCUMENT_LIMIT: Final = 16 * MIB  # no document between the parts is larger than a few hundred kilobytes
FILE_LIMIT: Final = 4096 * MIB  # the largest base of the family is 1.3 GB
LISTING_LIMIT: Final = 200_000  # a dataset of more files than this is a mistake in the prefix
BINARY: Final = "application/octet-stream"

RetentionMode = Literal["GOVERNANCE", "COMPLIANCE"]
"""Who may end a retention early: those with a right of their own (s3:BypassGovernanceRetention), or nobody."""


@dataclass(frozen=True)
class Entry:
    """One object of a listing: its key in the store, its size in bytes, a tag that changes with its content."""

    key: str
    size: int
    etag: str
    modified: datetime | None = field(default=None, compare=False)
    """When it was written last, by the store's clock."""


@dataclass(frozen=True)
class Version:
    """One version of an object, or the marker of a deletion; ``version`` is empty where the store keeps no versions."""

    key: str
    size: int
    version: str = ""


class Store(ABC):
    """A place for objects; every method blocks.

    All methods raise a ``StoreError``: ``InvalidKey`` before anything is asked, ``StoreUnavailable`` (transient) or
    ``Misconfigured`` (permanent) when the store fails, and what they name themselves.
    """

    def __init__(self, uri: StoreUri) -> None:
        self.location = uri
        self.uri = str(uri)

    # Reading

    @abstractmethod
    def open(self, key: str) -> AbstractContextManager[Iterator[bytes]]:
        """Yield the object's bytes in chunks of at most a MiB, exactly as they are stored.

        Raises:
            NotFound: there is none.
        """

    def read(self, key: str, *, limit: int = DOCUMENT_LIMIT) -> bytes:
        """Return the object's bytes.

        Raises:
            NotFound: there is none.
            TooLarge: it has more than ``limit`` bytes.
        """
        with self.open(key) as chunks:
            return b"".join(bounded(chunks, self.describe(key), limit))

    def download(self, key: str, path: Path, *, limit: int = FILE_LIMIT) -> None:
        """Write the object to a local file, whole or not at all; its folder is made where there is none.

        Raises:
            NotFound: there is none.
            TooLarge: it has more than ``limit`` bytes.
            OSError: the local file cannot be written.
        """
        with self.open(key) as chunks:
            write_whole(path, bounded(chunks, self.describe(key), limit))

    def content(self, key: str, *, limit: int = FILE_LIMIT) -> Content:
        """Read the object and return its digest and size.

        Raises:
            NotFound: there is none.
            TooLarge: it has more than ``limit`` bytes.
        """
        with self.open(key) as chunks:
            return content_of(bounded(chunks, self.describe(key), limit))

    @abstractmethod
    def exists(self, key: str) -> bool:
        """Whether there is such an object."""

    @abstractmethod
    def entries(self, prefix: str = "") -> Iterator[Entry]:
        """Yield the objects whose keys start with ``prefix``, in no promised order and without a bound."""

    def list(self, prefix: str = "", *, limit: int = LISTING_LIMIT) -> tuple[Entry, ...]:
        """Return the objects whose keys start with ``prefix``, sorted by key.

        Raises:
            TooLarge: there are more than ``limit``.
        """
        found = list(islice(self.entries(prefix), limit + 1))
        if len(found) > limit:
            raise TooLarge(f"{self.uri}/{prefix} holds more than {limit} objects; name a narrower prefix")
        return tuple(sorted(found, key=lambda entry: entry.key))

    # Writing

    @abstractmethod
    def make_root(self) -> None:
        """Make the bucket or the folder that holds the objects, where there is none; a person's task, no program's."""

    @abstractmethod
    def write(self, key: str, data: bytes, content_type: str = BINARY) -> None:
        """Put the object in one piece: readers see the old bytes or the new ones."""

    @abstractmethod
    def create(self, key: str, data: bytes, content_type: str = BINARY) -> None:
        """Put the object in one piece unless there is one: of several callers exactly one succeeds.

        Raises:
            AlreadyExists: there is one; it stays as it was.
        """

    @abstractmethod
    def retain(self, key: str, mode: RetentionMode, until: datetime) -> None:
        """Keep the object's present version from being removed until then, in a bucket with object lock.

        Raises:
            Misconfigured: the store has no such thing.
        """

    @abstractmethod
    def upload(self, key: str, path: Path) -> None:
        """Put the local file's bytes under the key.

        Raises:
            OSError: the local file cannot be read.
        """

    def upload_verified(self, key: str, path: Path) -> Content:
        """Put the local file's bytes under the key, read them back, and return their digest and size.

        Raises:
            DigestMismatch: what the store holds then is something else.
            OSError: the local file cannot be read.
        """
        sent = content_of_file(path)
        self.upload(key, path)
        held = self.content(key)
        if held != sent:
            raise DigestMismatch(self.describe(key), expected=sent.digest, actual=held.digest)
        return sent

    # Removing

    @abstractmethod
    def delete_all(self, keys: Iterable[str]) -> None:
        """Remove objects that a listing named, in this order as far as the store keeps one; missing ones are fine."""

    def delete(self, key: str) -> None:
        """Remove the object if it is there."""
        self.delete_all((key,))

    @abstractmethod
    def versions(self, prefix: str = "") -> Iterator[Version]:
        """Yield everything that is stored below keys that start with ``prefix``: versions and markers of deletions too.

        Where the store does not tell of versions, or does not let us see them, the objects as ``entries`` has them.
        """

    @abstractmethod
    def erase(self, versions: Iterable[Version]) -> None:
        """Remove versions for good, in this order as far as the store keeps one; missing ones are fine."""

    def erase_uploads(self, prefix: str = "") -> int:
        """Remove the parts of uploads below ``prefix`` that were begun and never ended; return how many uploads."""
        del prefix
        return 0

    def describe(self, key: str) -> str:
        """Return how messages name the object: the store's URI and the key."""
        return f"{self.uri.rstrip('/')}/{key}"
