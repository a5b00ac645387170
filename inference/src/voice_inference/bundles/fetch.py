"""Brings bundles from a store into the cache folder; nothing is used before its digest has been checked."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sovits_core.stores import Store, StoreError, check_key, open_store
from voice_inference.errors import DigestMismatch, FetchFailed, InvalidDocument

INDEX_LIMIT = 4 * 1024 * 1024  # bytes of a base.json or manifest.json
CHUNK = 1024 * 1024
PREFIX = "sha256:"


class FileEntry(BaseModel):
    """What an index promises about one file; the size is in bytes."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=0)


class Index(BaseModel):
    """The part that ``base.json`` and ``manifest.json`` have in common."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_: str = Field(alias="schema")
    files: dict[str, FileEntry] = Field(max_length=100_000)


@dataclass(frozen=True)
class Kind:
    """A kind of bundle: a folder whose index names the other files; the index's SHA-256 is the bundle's digest."""

    name: str  # also the folder in the cache
    index: str
    schema: str
    choose: Callable[[bytes], Iterable[str]]  # from the index's bytes to the files that the server needs
    size_limit: int  # bytes of the needed files together


class Cache:
    """Bundles by digest below one folder: what lies there under a digest has that digest."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def fetch(self, kind: Kind, uri: str, digest: str) -> Path:
        """Return a folder with the index and the needed files of the bundle at ``uri``, all of them checked.

        Raises:
            FetchFailed: the store has no such file, or does not answer; or the cache cannot be written.
            DigestMismatch: a file is not what the index or the digest promises.
            InvalidDocument: the index is malformed, or names files that are too large or outside of the bundle.
        """
        folder = self._root / kind.name / digest.removeprefix(PREFIX)
        try:
            store = open_store(uri)
            if _holds(folder, kind, digest):
                return folder
            folder.parent.mkdir(parents=True, exist_ok=True)
            with ExitStack() as stack:
                part = Path(tempfile.mkdtemp(prefix=".part-", dir=folder.parent))
                stack.callback(shutil.rmtree, part, ignore_errors=True)
                _download(store, part, kind, digest)
                return _settle(part, folder)
        except StoreError as error:
            raise FetchFailed(str(error)) from error
        except OSError as error:
            raise FetchFailed(f"the cache {self._root} cannot be used: {error.strerror or error}") from error

    def keep_only(self, kind: Kind, digests: Iterable[str]) -> None:
        """Remove every bundle of this kind but the given ones."""
        names = {digest.removeprefix(PREFIX) for digest in digests}
        folder = self._root / kind.name
        for child in folder.iterdir() if folder.is_dir() else ():
            if child.name not in names:
                shutil.rmtree(child, ignore_errors=True)


def check_folder(folder: Path, kind: Kind, digest: str) -> str:
    """Check the index and the needed files of a local bundle, and return its digest; an empty ``digest`` fits all."""
    try:
        data = (folder / kind.index).read_bytes()
        actual = check_digest(data, digest, f"{folder.name}/{kind.index}")
        files = parse_index(data, kind)
        for name in kind.choose(data):
            check_file(folder / name, _entry(files, name, kind), f"{folder.name}/{name}")
    except OSError as error:
        raise FetchFailed(f"{folder.name}: {error.strerror}: {Path(str(error.filename)).name}") from error
    return actual


def parse_index(data: bytes, kind: Kind) -> dict[str, FileEntry]:
    """Return the files of a ``base.json`` or ``manifest.json``; all names are plain relative paths."""
    try:
        index = Index.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidDocument(f"{kind.index}: {where}: {first['msg']}") from error
    if index.schema_ != kind.schema:
        raise InvalidDocument(f"{kind.index}: schema is {index.schema_[:100]!r}, this server reads {kind.schema}")
    for name in index.files:
        try:
            check_key(name)
        except StoreError as error:
            raise InvalidDocument(f"{kind.index}: files: {error}") from error
    return index.files


def check_digest(data: bytes, expected: str, what: str) -> str:
    """Return the data's digest, or raise ``DigestMismatch``; an empty expectation fits all."""
    actual = PREFIX + hashlib.sha256(data).hexdigest()
    if expected and actual != expected:
        raise DigestMismatch(what, expected=expected, actual=actual)
    return actual


def check_file(path: Path, entry: FileEntry, what: str) -> None:
    """Raise ``DigestMismatch`` when the file is not the one that the index names."""
    with path.open("rb") as file:
        actual = hashlib.file_digest(file, "sha256").hexdigest()
    if actual != entry.sha256:
        raise DigestMismatch(what, expected=PREFIX + entry.sha256, actual=PREFIX + actual)


def _holds(folder: Path, kind: Kind, digest: str) -> bool:
    """Whether the bundle is here; the cache is trusted no further than its bytes, and a damaged folder removed."""
    if not folder.is_dir():
        return False
    try:
        check_folder(folder, kind, digest)
    except (FetchFailed, DigestMismatch, InvalidDocument):
        shutil.rmtree(folder)
        return False
    return True


def _download(store: Store, part: Path, kind: Kind, digest: str) -> None:
    data = store.read(kind.index, limit=INDEX_LIMIT)
    check_digest(data, digest, f"{store.uri}/{kind.index}")
    files = parse_index(data, kind)
    needed = {name: _entry(files, name, kind) for name in kind.choose(data)}
    if (size := sum(entry.size for entry in needed.values())) > kind.size_limit:
        raise InvalidDocument(f"{store.uri} has {size} bytes, at most {kind.size_limit} are allowed for {kind.name}")
    for name, entry in needed.items():
        store.download(name, part / name, limit=entry.size)
        check_file(part / name, entry, f"{store.uri}/{name}")
    (part / kind.index).write_bytes(data)


def _entry(files: Mapping[str, FileEntry], name: str, kind: Kind) -> FileEntry:
    if name not in files:
        raise InvalidDocument(f"{kind.index}: files: {name} is not listed, and the server needs it")
    return files[name]


def _settle(part: Path, folder: Path) -> Path:
    """Give the checked download its name; another thread may have been faster with the same bytes."""
    try:
        part.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
    return folder
