"""Bytes on their way: bounded while they are read, whole or not at all where they are written, and their digest."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from voice_store.errors import TooLarge

CHUNK: Final = 1024 * 1024  # bytes
DIGEST_PREFIX: Final = "sha256:"


@dataclass(frozen=True)
class Content:
    """Digest and size of some bytes: SHA-256 in hexadecimal digits, and their number."""

    sha256: str
    size: int

    @property
    def digest(self) -> str:
        """``sha256:<hexadecimal digits>``, as manifests and resources write it."""
        return DIGEST_PREFIX + self.sha256


def bounded(chunks: Iterable[bytes], what: str, limit: int) -> Iterator[bytes]:
    """Pass the chunks on until they are more than ``limit`` bytes; a sender's own word on the size is not trusted.

    Raises:
        TooLarge: there are more.
    """
    taken = 0
    for chunk in chunks:
        taken += len(chunk)
        if taken > limit:
            raise TooLarge(f"{what} is larger than the {limit} bytes that are allowed; is it the right object?")
        yield chunk


def content_of(chunks: Iterable[bytes]) -> Content:
    """Return digest and size of everything that comes."""
    digest, size = hashlib.sha256(), 0
    for chunk in chunks:
        digest.update(chunk)
        size += len(chunk)
    return Content(digest.hexdigest(), size)


def content_of_file(path: Path) -> Content:
    """Return digest and size of a local file.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return content_of(chunks_of(file))


def chunks_of(file: BinaryIO) -> Iterator[bytes]:
    """Yield a file's bytes, a MiB at a time."""
    return iter(lambda: file.read(CHUNK), b"")


def write_whole(path: Path, chunks: Iterable[bytes]) -> None:
    """Write beside the target, then rename: nobody ever reads half a file.

    Raises:
        OSError: the folder cannot be written; whatever ``chunks`` raises. Nothing is left behind then.
    """
    with _written_beside(path, chunks) as beside:
        beside.replace(path)


def create_whole(path: Path, chunks: Iterable[bytes]) -> None:
    """Write beside the target, then give it the name unless something has it.

    Raises:
        FileExistsError: something has the name; it stays as it was.
        OSError: the folder cannot be written.
    """
    with _written_beside(path, chunks) as beside:
        os.link(beside, path)


@contextmanager
def _written_beside(path: Path, chunks: Iterable[bytes]) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.parent / f".{secrets.token_hex(8)}.part"
    try:
        with beside.open("xb") as target:
            for chunk in chunks:
                target.write(chunk)
            target.flush()
            os.fsync(target.fileno())
        yield beside
    finally:
        beside.unlink(missing_ok=True)
