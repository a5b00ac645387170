"""A store in a local folder: for tests, for one machine, for bases on a volume."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from voice_store.errors import AccessDenied, AlreadyExists, InvalidKey, Misconfigured, NotFound, StoreUnavailable
from voice_store.files import chunks_of, create_whole, write_whole
from voice_store.store import BINARY, Entry, RetentionMode, Store, Version
from voice_store.uris import StoreUri, check_key


class FolderStore(Store):
    """Objects as files below one folder; names that start with a dot are ours or the system's, never objects."""

    def __init__(self, root: Path) -> None:
        """Open the folder, which need not exist before the first object.

        Raises:
            InvalidUri: its name cannot be written as a URI.
        """
        super().__init__(StoreUri.of_folder(root))
        self.root = root

    @contextmanager
    def open(self, key: str) -> Iterator[Iterator[bytes]]:
        """See ``Store.open``."""
        with self._errors(key):
            path = self._path(key)
            if not path.is_file():
                raise NotFound(f"{self.describe(key)}: there is no such object")
            source = path.open("rb")
        with source:
            yield self._chunks(key, source)

    def exists(self, key: str) -> bool:
        """See ``Store.exists``."""
        with self._errors(key):
            return self._path(key).is_file()

    def entries(self, prefix: str = "") -> Iterator[Entry]:
        """See ``Store.entries``; links are not followed, and the tag is the time of the last change."""
        parent = prefix.rpartition("/")[0]
        with self._errors(prefix):
            start = self._path(parent) if parent else self.root
            for folder, subfolders, names in os.walk(start):
                subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
                for name in sorted(names):
                    path = Path(folder, name)
                    key = path.relative_to(self.root).as_posix()
                    if name.startswith(".") or not key.startswith(prefix) or path.is_symlink() or not path.is_file():
                        continue
                    about = path.stat()
                    written = datetime.fromtimestamp(about.st_mtime, UTC)
                    yield Entry(key, about.st_size, str(about.st_mtime_ns), written)

    def make_root(self) -> None:
        """See ``Store.make_root``."""
        with self._errors(""):
            self.root.mkdir(parents=True, exist_ok=True)

    def write(self, key: str, data: bytes, content_type: str = BINARY) -> None:
        """See ``Store.write``; a file has no content type."""
        del content_type
        with self._errors(key):
            write_whole(self._path(key), (data,))

    def create(self, key: str, data: bytes, content_type: str = BINARY) -> None:
        """See ``Store.create``; a file has no content type."""
        del content_type
        with self._errors(key):
            try:
                create_whole(self._path(key), (data,))
            except FileExistsError as error:
                raise AlreadyExists(f"{self.describe(key)}: it exists already") from error

    def retain(self, key: str, mode: RetentionMode, until: datetime) -> None:
        """See ``Store.retain``; a folder keeps nothing from anybody."""
        about = f"{self.describe(key)}: a folder cannot keep it until {until:%Y-%m-%d} ({mode})"
        raise Misconfigured(f"{about}; use a bucket with object lock")

    def upload(self, key: str, path: Path) -> None:
        """See ``Store.upload``."""
        with path.open("rb") as source, self._errors(key):
            write_whole(self._path(key), chunks_of(source))

    def delete_all(self, keys: Iterable[str]) -> None:
        """See ``Store.delete_all``; folders that are empty then go too."""
        for key in keys:
            with self._errors(key):
                path = self._path(key)
                path.unlink(missing_ok=True)
                self._remove_empty(path.parent)

    def versions(self, prefix: str = "") -> Iterator[Version]:
        """See ``Store.versions``; a file has one."""
        for entry in self.entries(prefix):
            yield Version(entry.key, entry.size)

    def erase(self, versions: Iterable[Version]) -> None:
        """See ``Store.erase``."""
        self.delete_all(one.key for one in versions)

    def _chunks(self, key: str, source: BinaryIO) -> Iterator[bytes]:
        with self._errors(key):
            yield from chunks_of(source)

    def _remove_empty(self, folder: Path) -> None:
        while folder != self.root and folder.is_relative_to(self.root) and folder.is_dir():
            try:
                folder.rmdir()
            except OSError:  # something is in it, perhaps since a moment ago
                return
            folder = folder.parent

    def _path(self, key: str) -> Path:
        path = self.root / check_key(key)
        if not path.resolve().is_relative_to(self.root.resolve()):  # a symbolic link may lead out of the folder
            raise InvalidKey(f"{key!r} leads out of {self.uri}; replace the link by a copy")
        return path

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        what = self.describe(key) if key else self.uri
        try:
            yield
        except PermissionError as error:
            raise AccessDenied(
                f"{what}: {error.strerror}: {error.filename}; change the owner or the mode of the folder"
            ) from error
        except OSError as error:
            raise StoreUnavailable(f"{what}: {error.strerror or error}; check the folder's file system") from error
