"""Bundles by digest: fetched from a store into a local cache, used only after every byte has been checked.

A bundle is a folder whose index (``manifest.json``, ``base.json``) names the other files with size and SHA-256; the
SHA-256 of the index is the bundle's digest.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from voice_store.errors import CacheUnusable, DigestMismatch, InvalidIndex, InvalidKey, StoreError, TooLarge
from voice_store.files import DIGEST_PREFIX, Content, content_of_file
from voice_store.store import MIB, Store
from voice_store.uris import check_key

INDEX_LIMIT: Final = 4 * MIB
FILES_LIMIT: Final = 100_000
CONTAINERS_BESIDE_FILES: Final = 10_000  # a base's index has configurations, gates and sentences too

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class BundleKind:
    """A kind of bundle: what its index is called and says, and which of its files a program needs."""

    name: str  # also the folder in the cache
    index: str
    schema: str
    choose: Callable[[bytes], Iterable[str]]  # from the index's bytes to the needed files
    size_limit: int  # bytes of the needed files together
    file_limits: Mapping[str, int] = field(default_factory=dict)  # bytes of single files
    index_limit: int | None = None  # bytes of the index; None: INDEX_LIMIT
    files_limit: int = FILES_LIMIT  # how many files the index may name


class BundleCache:
    """Bundles by digest below one folder: what lies there under a digest has that digest."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def fetch(self, kind: BundleKind, open_bundle: Callable[[], Store], digest: str) -> Path:
        """Return a folder with the index and the needed files of a bundle, all of them checked.

        The store at the bundle's URI is opened only when the bundle is not here: a cached one needs none. Whatever
        ``kind.choose`` raises comes through.

        Raises:
            DigestMismatch: a file is not what the index or the digest promises.
            InvalidIndex: the index is malformed, or names files that are too large or outside of the bundle.
            CacheUnusable: the cache cannot be written.
            StoreError: the store has no such file, or does not answer.
        """
        if not _DIGEST.fullmatch(digest):
            raise InvalidIndex(f"{digest[:100]!r} is no digest of a bundle; use sha256: and 64 hexadecimal digits")
        folder = self._root / kind.name / digest.removeprefix(DIGEST_PREFIX)
        try:
            if _holds(folder, kind, digest):
                return folder
            folder.parent.mkdir(parents=True, exist_ok=True)
            part = Path(tempfile.mkdtemp(prefix=".part-", dir=folder.parent))
            try:
                _download(open_bundle(), part, kind, digest)
                return _promote(part, folder)
            finally:
                shutil.rmtree(part, ignore_errors=True)
        except OSError as error:
            raise CacheUnusable(
                f"the cache {self._root} cannot be used: {error.strerror or error}; free space or correct its owner"
            ) from error

    def keep_only(self, kind: BundleKind, digests: Iterable[str]) -> None:
        """Remove every bundle of this kind but the given ones."""
        names = {digest.removeprefix(DIGEST_PREFIX) for digest in digests}
        folder = self._root / kind.name
        for child in folder.iterdir() if folder.is_dir() else ():
            if child.name not in names:
                shutil.rmtree(child, ignore_errors=True)


def check_folder(folder: Path, kind: BundleKind, digest: str) -> str:
    """Check index and needed files of a local bundle, and return its digest; an empty ``digest`` fits all.

    Raises:
        DigestMismatch: a file is not what the index or the digest promises.
        InvalidIndex: the index is malformed.
        CacheUnusable: a file cannot be read.
    """
    try:
        data = (folder / kind.index).read_bytes()
        actual = check_digest(data, digest, f"{folder.name}/{kind.index}")
        for name, promised in needed_files(data, kind, folder.name).items():
            _check_file(folder / name, promised, f"{folder.name}/{name}")
    except OSError as error:
        name = Path(str(error.filename)).name
        raise CacheUnusable(f"{folder.name}: {error.strerror}: {name}; fetch the bundle again") from error
    return actual


def parse_index(data: bytes, kind: BundleKind, what: str) -> dict[str, Content]:
    """Return the files that an index promises; all names are plain relative paths.

    Raises:
        InvalidIndex: it is malformed; the message names the field.
    """
    where = f"{what}/{kind.index}"
    # Each file is one object, and the rest of an index has few: a list of three bytes would take a hundred in memory.
    if data.count(b"{") + data.count(b"[") > kind.files_limit + CONTAINERS_BESIDE_FILES:
        raise InvalidIndex(f"{where} has too many objects and lists for {kind.files_limit} files; publish it again")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InvalidIndex(f"{where} is no JSON; publish it again") from error
    if not isinstance(document, dict):
        raise InvalidIndex(f"{where} is no JSON object; publish it again")
    schema, files = document.get("schema"), document.get("files")
    if schema != kind.schema:
        raise InvalidIndex(f"{where}: schema is {str(schema)[:100]!r}, this program reads {kind.schema}")
    if not isinstance(files, dict) or len(files) > kind.files_limit:
        raise InvalidIndex(f"{where}: files must be an object of at most {kind.files_limit} entries; publish it again")
    return {_name(name, where): _content(name, entry, where) for name, entry in files.items()}


def needed_files(data: bytes, kind: BundleKind, what: str) -> Mapping[str, Content]:
    """Return what the index promises of the files that ``kind.choose`` wants.

    Raises:
        InvalidIndex: it is malformed, a wanted file is not listed, or they are too large together.
    """
    files = parse_index(data, kind, what)
    needed = {}
    for name in kind.choose(data):
        if name not in files:
            raise InvalidIndex(f"{what}/{kind.index}: files: {name} is not listed, and it is needed; publish it again")
        needed[name] = files[name]
        if (limit := kind.file_limits.get(name)) is not None and files[name].size > limit:
            size = files[name].size
            raise InvalidIndex(f"{what}/{name} has {size} bytes, at most {limit} are allowed; publish it again")
    if (size := sum(promised.size for promised in needed.values())) > kind.size_limit:
        raise InvalidIndex(f"{what} has {size} bytes, at most {kind.size_limit} are allowed for {kind.name}")
    return needed


def check_digest(data: bytes, expected: str, what: str) -> str:
    """Return the data's digest; an empty expectation fits all.

    Raises:
        DigestMismatch: it is another one.
    """
    actual = DIGEST_PREFIX + hashlib.sha256(data).hexdigest()
    if expected and actual != expected:
        raise DigestMismatch(what, expected=expected, actual=actual)
    return actual


def _check_file(path: Path, promised: Content, what: str) -> None:
    actual = content_of_file(path)
    if actual.sha256 != promised.sha256:
        raise DigestMismatch(what, expected=promised.digest, actual=actual.digest)


def _holds(folder: Path, kind: BundleKind, digest: str) -> bool:
    """Whether the bundle is here; the cache is trusted no further than its bytes, and a damaged folder removed."""
    if not folder.is_dir():
        return False
    try:
        check_folder(folder, kind, digest)
    except StoreError:
        shutil.rmtree(folder)
        return False
    return True


def _download(store: Store, part: Path, kind: BundleKind, digest: str) -> None:
    try:
        _download_all(store, part, kind, digest)
    except TooLarge as error:  # than the index promises
        raise InvalidIndex(str(error)) from error


def _download_all(store: Store, part: Path, kind: BundleKind, digest: str) -> None:
    data = store.read(kind.index, limit=kind.index_limit or INDEX_LIMIT)
    check_digest(data, digest, store.describe(kind.index))
    for name, promised in needed_files(data, kind, store.uri).items():
        store.download(name, part / name, limit=promised.size)
        _check_file(part / name, promised, store.describe(name))
    (part / kind.index).write_bytes(data)


def _promote(part: Path, folder: Path) -> Path:
    """Give the checked download its name; another thread may have been faster with the same bytes."""
    try:
        part.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
    return folder


def _name(name: str, where: str) -> str:
    try:
        return check_key(name)
    except InvalidKey as error:
        raise InvalidIndex(f"{where}: files: {error}") from error


def _content(name: str, entry: Any, where: str) -> Content:
    sha256, size = (entry.get("sha256"), entry.get("size")) if isinstance(entry, dict) else (None, None)
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        raise InvalidIndex(f"{where}: files.{name[:200]}.sha256 must have 64 hexadecimal digits; publish it again")
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise InvalidIndex(f"{where}: files.{name[:200]}.size must be a number of bytes; publish it again")
    return Content(sha256, size)
