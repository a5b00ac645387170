"""A published voice's bundle: its manifest is checked by the revision's digest, and every file by the manifest."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from voice_cli.api import Object, name_of
from voice_cli.errors import NotFound
from voice_store import Content, DigestMismatch, InvalidIndex, Store, check_key, content_of, content_of_file, open_store

INDEX = "manifest.json"
REPORT = "report.html"  # one page, with its sounds
INDEX_BYTES = 1 << 20
FILE_BYTES = 4 << 30


@dataclass(frozen=True)
class Bundle:
    """A bundle in the object store."""

    revision: str
    uri: str
    digest: str
    files: dict[str, Content]
    store: Store

    @property
    def names(self) -> list[str]:
        """Return the names of all files, the manifest last as it was written."""
        return [*sorted(self.files), INDEX]

    def fetch(self, targets: Mapping[str, Path]) -> None:
        """Write files by name to where they shall lie; what is there already with its digest is not fetched again.

        Raises:
            DigestMismatch: a file is not what the manifest promises; it is removed again.
        """
        for key, target in targets.items():
            expected = self.files.get(key)
            if expected is not None and target.is_file() and content_of_file(target) == expected:
                continue
            self.store.download(key, target, limit=FILE_BYTES if expected is None else expected.size)
            if expected is not None and (found := content_of_file(target)) != expected:
                target.unlink()
                raise DigestMismatch(self.store.describe(key), expected=expected.digest, actual=found.digest)


def bundle_of(revision: Object) -> Bundle:
    """Open the bundle of a VoiceRevision.

    Raises:
        StoreError: it is not there, or is another one than the revision names.
    """
    artifacts, name = revision["spec"].get("artifacts") or {}, name_of(revision)
    uri, digest = str(artifacts.get("uri") or ""), str(artifacts.get("digest") or "")
    if not uri:
        raise NotFound(f"{name} names no bundle")
    store = open_store(uri)
    data = store.read(INDEX, limit=INDEX_BYTES)
    found = content_of([data])
    if found.digest != digest:
        raise DigestMismatch(store.describe(INDEX), expected=digest, actual=found.digest)
    return Bundle(name, uri, digest, _files(data, store), store)


def _files(data: bytes, store: Store) -> dict[str, Content]:
    try:
        listed = json.loads(data)["files"]
        return {check_key(str(key)): Content(str(one["sha256"]), int(one["size"])) for key, one in listed.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidIndex(f"{store.describe(INDEX)} is no manifest of a bundle: {error}") from error
