"""Where things lie: the repository, the cache that survives, the state that `down` removes."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dev.errors import DevError

REPOSITORY = Path(__file__).resolve().parent.parent
TOOLS = REPOSITORY / "dev" / "tools"


def cache() -> Path:
    """Built programs, the base image and the image store: slow to make, safe to delete."""
    chosen = os.environ.get("VOICE_OPERATOR_CACHE")
    if chosen:
        return Path(chosen).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache").absolute() / "voice-operator"


def default_state() -> Path:
    """Everything a running cluster writes; `down` removes the whole folder."""
    return Path(os.environ.get("VOICE_OPERATOR_STATE") or "/var/lib/voice-operator-dev").absolute()


@contextmanager
def exclusive_lock(lock: Path, purpose: str) -> Iterator[None]:
    """Hold a lock file exclusively, so that two commands never do the same work at once; the second one waits."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    try:
        handle = lock.open("w")
    except OSError as error:
        raise DevError(
            f"cannot write {lock}: {error.strerror}", remedy="run as root, or choose another folder"
        ) from error
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting: another command is {purpose}", file=sys.stderr, flush=True)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextmanager
def shared_lock(lock: Path) -> Iterator[None]:
    """Hold a lock file together with other users of the same thing; `try_exclusive_lock` fails meanwhile."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_SH)
        yield


@contextmanager
def try_exclusive_lock(lock: Path) -> Iterator[bool]:
    """Take the lock exclusively if nobody holds it, without waiting; yield whether that succeeded."""
    with lock.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def write_if_changed(path: Path, text: str) -> None:
    """Write a configuration file; some programs restart when theirs is touched, even with the same words."""
    if not path.exists() or path.read_text() != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
