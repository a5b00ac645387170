"""Recordings on their way into the object store: a folder for each digest, so that what is there never changes.

The digest is the trainer's (``dataset.digest``): SHA-256 over lines ``<sha256 of the file>  <key>`` in the order of the
keys. The same recordings have the same folder and the same digest, whichever commit brings them (docs/decisions/0061).
"""

import hashlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from voice_cli.errors import UsageError
from voice_store import Content, Store, StoreUri, Transport, content_of_file, open_store

CONNECTIONS = 8
FOLDER_DIGITS = 32  # of the digest, in the folder's name
PLACEHOLDERS = ("{namespace}", "{voice}")


@dataclass(frozen=True)
class Dataset:
    """The files of a voice's recordings, by key."""

    root: Path
    contents: dict[str, Content]

    @property
    def digest(self) -> str:
        """The digest that ``spec.dataset.digest`` pins."""
        lines = "".join(f"{content.sha256}  {key}\n" for key, content in sorted(self.contents.items()))
        return f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}"

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(content.size for content in self.contents.values())


@dataclass(frozen=True)
class Uploaded:
    """What an upload did."""

    uri: str
    sent: int  # files
    skipped: int  # files that were there already
    bytes: int  # that were sent


def dataset_of(root: Path, keys: Iterable[str]) -> Dataset:
    """Read every file once."""
    return Dataset(root, {key: content_of_file(root / key) for key in keys})


def folder_uri(prefix: str, namespace: str, voice: str, digest: str) -> str:
    """Return where a dataset lies: below the prefix, a folder for the voice, one for the digest.

    A prefix that names ``{voice}``, or ends with the voice's own name, has the voice's folder already.

    Raises:
        UsageError: the prefix is no ``s3://`` URI.
    """
    base = prefix.replace("{namespace}", namespace).replace("{voice}", voice).rstrip("/")
    if not base.startswith(("s3://", "file://")) or "{" in base:
        raise UsageError(
            f"{prefix!r} is no prefix of recordings; write s3://bucket/folder, with {' and '.join(PLACEHOLDERS)}"
        )
    folder = base if "{voice}" in prefix or base.rpartition("/")[2] == voice else f"{base}/{voice}"
    return f"{folder}/{digest.removeprefix('sha256:')[:FOLDER_DIGITS]}"


def upload(
    dataset: Dataset, uri: str, *, again: bool = False, told: Callable[[int], None] = lambda _: None
) -> Uploaded:
    """Put the files there that are not; several at a time.

    Args:
        dataset: what to put.
        uri: the dataset's folder, named by its digest.
        again: send what is there already, too.
        told: called with the bytes of each file that is done or was there.

    Raises:
        StoreError: the store refuses or does not answer; what was sent stays, and the next call goes on.
    """
    store = open_store(StoreUri.parse(uri), transport=Transport(connections=CONNECTIONS))
    there = {} if again else {entry.key: entry.size for entry in store.list()}
    missing = [key for key, content in dataset.contents.items() if there.get(key) != content.size]
    for key, content in dataset.contents.items():
        if key not in missing:
            told(content.size)
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for size in pool.map(lambda key: _send(store, dataset, key), missing):
            told(size)
    sent = sum(dataset.contents[key].size for key in missing)
    return Uploaded(uri, len(missing), len(dataset.contents) - len(missing), sent)


def _send(store: Store, dataset: Dataset, key: str) -> int:
    store.upload(key, dataset.root / key)
    return dataset.contents[key].size
