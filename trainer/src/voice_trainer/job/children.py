"""How every other program is started: a clean environment, limits, a session of its own, killed as a whole.

What such a program reads came from outside, so it is taken to be hostile: it gets no variable of the job (keys, tokens,
addresses), and what it may use of the machine ends before the pod's own limits do.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any, Final

MIB: Final = 1024 * 1024
STDERR_SHOWN: Final = 4096  # bytes of what a program says last
KEPT: Final = ("PATH", "LD_LIBRARY_PATH", "TMPDIR")  # of the job's own environment


@dataclass(frozen=True)
class Bounds:
    """What a program may use; beyond it the kernel refuses memory, or ends it."""

    wall_seconds: float = 60.0
    cpu_seconds: int = 60
    memory: int = 768 * MIB  # of private data: mapped libraries and reserved addresses do not count
    file_bytes: int = 128 * MIB  # of each file that it writes, its output among them
    open_files: int = 64


class ChildFailed(Exception):
    """The program ended otherwise than well; the message is the last line that it said, or how it ended."""

    def __init__(self, message: str, status: int = 1) -> None:
        """Keep ``status``: the exit status, or the negative number of the signal that ended it."""
        super().__init__(message)
        self.status = status


class ChildTimedOut(ChildFailed):
    """It took more than ``Bounds.wall_seconds`` and was killed with all that it started."""


def environment(**more: str) -> dict[str, str]:
    """Return all that a program gets to know."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return {"PATH": os.defpath, "LANG": "C.UTF-8", "HOME": "/nonexistent"} | kept | more


def start(
    command: Sequence[str],
    bounds: Bounds,
    *,
    variables: Mapping[str, str] | None = None,
    pass_fds: tuple[int, ...] = (),
    **pipes: Any,
) -> subprocess.Popen[bytes]:
    """Start a program within its bounds; ``pipes`` are ``stdin``, ``stdout`` and ``stderr``.

    Raises:
        FileNotFoundError: there is no such program.
    """
    process = subprocess.Popen(
        command, env=environment(**(variables or {})), start_new_session=True, pass_fds=pass_fds, **pipes
    )
    # From outside, because code between fork and exec may hang in a process with threads.
    for kind, limit in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, bounds.cpu_seconds),
        (resource.RLIMIT_DATA, bounds.memory),
        (resource.RLIMIT_FSIZE, bounds.file_bytes),
        (resource.RLIMIT_NOFILE, bounds.open_files),
    ):
        with suppress(ProcessLookupError):  # it has ended already
            resource.prlimit(process.pid, kind, (limit, limit))
    return process


def stop(process: subprocess.Popen[bytes]) -> None:
    """Kill a program and all that it started, and wait for it."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def run(command: Sequence[str], data: bytes = b"", bounds: Bounds = Bounds()) -> bytes:
    """Run a program to its end; ``data`` is its standard input, what it writes to standard output is returned.

    Both go through files: the limit on these bounds what a program can make this process hold.

    Raises:
        ChildFailed: it did not end well.
        FileNotFoundError: there is no such program.
    """
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as said:
        given.write(data)
        given.seek(0)
        process = start(command, bounds, stdin=given, stdout=output, stderr=said)
        try:
            status = process.wait(timeout=bounds.wall_seconds)
        except subprocess.TimeoutExpired as error:
            raise ChildTimedOut(f"it took more than {bounds.wall_seconds:.0f} s") from error
        finally:
            stop(process)
        if status:
            raise ChildFailed(_last_line(said) or ending(status), status)
        size = min(output.seek(0, os.SEEK_END), bounds.file_bytes)  # a buffer is as large as what is asked for
        output.seek(0)
        return output.read(size)


def ending(status: int) -> str:
    """Return how a program ended, as people say it."""
    if status >= 0:
        return f"it ended with the exit status {status}"
    with suppress(ValueError):
        return f"it was ended by {signal.Signals(-status).name}"
    return f"it was ended by signal {-status}"


def _last_line(said: IO[bytes]) -> str:
    size = said.seek(0, os.SEEK_END)
    said.seek(max(0, size - STDERR_SHOWN))
    lines = said.read(STDERR_SHOWN).decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else ""
