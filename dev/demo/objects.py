"""The object store as a user would use it: recordings go up, the published voice comes down."""

import hashlib
from pathlib import Path

from dev.recordings import Recordings
from voice_store import InvalidKey, Store, check_key

LARGEST_FILE = 64 * 1024 * 1024


def upload(recordings: Recordings, store: Store) -> int:
    """Put a dataset into the store and return how many files were new; what is there already stays as it is."""
    there = {entry.key: entry.etag for entry in store.list()}
    new = 0
    for path in recordings.files():
        key = path.relative_to(recordings.folder).as_posix()
        if there.get(key) != hashlib.md5(path.read_bytes()).hexdigest():  # noqa: S324 -- S3's ETag is an MD5
            store.upload(key, path)
            new += 1
    return new


def download(store: Store, target: Path) -> list[Path]:
    """Fetch everything in the store into a folder, but files that are too large and keys that are no paths."""
    fetched = []
    for entry in store.list():
        try:
            path = target / check_key(entry.key)
        except InvalidKey:
            continue
        if entry.size <= LARGEST_FILE:
            store.download(entry.key, path, limit=LARGEST_FILE)
            fetched.append(path)
    return fetched
