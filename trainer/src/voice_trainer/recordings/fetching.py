"""The files of a dataset as they are fetched: within limits of size, and counted into the dataset's digest."""

from __future__ import annotations

import hashlib
from pathlib import Path

from voice_store import Store, TooLarge
from voice_trainer.errors import BadData
from voice_trainer.job.results import digest_of
from voice_trainer.recordings.findings import FindingList
from voice_trainer.recordings.shapes import NotText, decode_text

LIST_LIMIT = 16 * 1024 * 1024
CLIP_LIMIT = 64 * 1024 * 1024  # bytes: a minute of 48 kHz, 24 bit, stereo is 17 MB
LONG_LIMIT = 1024 * 1024 * 1024  # bytes of a recording that is sliced


def fetch(store: Store, key: str, path: Path, findings: FindingList, *, clip: str, limit: int = CLIP_LIMIT) -> bool:
    """Download one recording; False after a finding that it is too large."""
    try:
        store.download(key, path, limit=limit)
    except TooLarge:
        what = (
            "cut it into sentences of up to 15 s" if limit == CLIP_LIMIT else "store it as FLAC, or cut it into parts"
        )
        findings.refuse("ClipTooLarge", f"{key} is larger than {limit // 2**20} MiB; {what}", clip)
        return False
    return True


class DatasetDigest:
    """The SHA-256 over lines ``<sha256 of the file>  <key>`` in the order of the keys: what ``dataset.digest`` pins."""

    def __init__(self) -> None:
        self._files: dict[str, str] = {}

    def add(self, key: str, path: Path) -> None:
        """Count one file in."""
        self._files[key] = digest_of(path).sha256

    def add_bytes(self, key: str, data: bytes) -> None:
        """Count a file in that was read whole."""
        self._files[key] = hashlib.sha256(data).hexdigest()

    def value(self) -> str:
        """Return ``sha256:<hex>``."""
        lines = "".join(f"{digest}  {key}\n" for key, digest in sorted(self._files.items()))
        return "sha256:" + hashlib.sha256(lines.encode()).hexdigest()

    def require(self, pinned: str) -> None:
        """Raise ``BadData`` when a pinned digest differs."""
        if pinned and pinned != self.value():
            raise BadData(
                f"dataset.digest is {pinned} but the recordings have {self.value()}; "
                "restore the pinned recordings or update the digest",
                reason="DatasetDigestMismatch",
            )


def read_text(store: Store, key: str, digest: DatasetDigest) -> tuple[str, str]:
    """Return a text of the dataset, and its encoding where that is not UTF-8.

    Raises:
        BadData: it is too large, or in no encoding that is taken.
    """
    try:
        data = store.read(key, limit=LIST_LIMIT)
    except TooLarge as error:
        raise BadData(
            f"{store.uri}/{key} is larger than {LIST_LIMIT // 2**20} MiB", reason="MetadataTooLarge"
        ) from error
    digest.add_bytes(key, data)
    try:
        return decode_text(data)
    except NotText as error:
        raise BadData(f"{key} {error}; save the file as UTF-8", reason="MetadataNotUtf8") from error
