"""Output for people and child processes: steps with elapsed time, commands with a log, errors with a remedy."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import IO

from dev.errors import DevError

# Debian keeps iptables, containerd's helpers and ip(8) where a plain user's PATH does not look.
PATH = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"
HEARTBEAT_SECONDS = 30


def say(line: str) -> None:
    """Tell the person at the terminal; results alone go to standard output."""
    print(line, file=sys.stderr, flush=True)


@contextmanager
def step(what: str, usually: str = "") -> Iterator[None]:
    """Announce slow work, and say afterwards how long it took."""
    say(f"> {what}" + (f" (usually {usually})" if usually else ""))
    started = time.monotonic()
    yield
    say(f"  {what}: done in {time.monotonic() - started:.1f} s")


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
    check: bool = True,
    remedy: str = "",
) -> str:
    """Run a short command and return its standard output."""
    try:
        done = subprocess.run(
            [str(part) for part in command],
            cwd=cwd,
            env={**os.environ, "PATH": PATH, **(env or {})},
            input=stdin,
            stdin=None if stdin is not None else subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise DevError(f"{command[0]} is not installed", remedy=remedy or f"install {command[0]}") from error
    if check and done.returncode:
        output = (done.stderr or done.stdout).strip()[-2000:]
        raise DevError(f"`{show(command)}` failed with {done.returncode}:\n{output}", remedy=remedy)
    return done.stdout


def run_long(
    command: Sequence[str | Path],
    *,
    log: Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    feed: Callable[[IO[bytes]], None] | None = None,
    remedy: str = "",
) -> None:
    """Run a slow command: its output goes to a log, and a line now and then says that it is still at work."""
    log.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with log.open("wb") as output:
        try:
            process = subprocess.Popen(
                [str(part) for part in command],
                cwd=cwd,
                env={**os.environ, "PATH": PATH, **(env or {})},
                stdin=subprocess.PIPE if feed else subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        except FileNotFoundError as error:
            raise DevError(f"{command[0]} is not installed", remedy=remedy or f"install {command[0]}") from error
        try:
            if feed and process.stdin:
                with process.stdin as pipe:
                    feed(pipe)
        except BrokenPipeError:
            pass  # the command gave up; its log says why
        except BaseException:
            process.kill()
            process.wait()
            raise
        while True:
            try:
                code = process.wait(timeout=HEARTBEAT_SECONDS)
                break
            except subprocess.TimeoutExpired:
                say(f"  still at it after {time.monotonic() - started:.0f} s (log: {log})")
            except BaseException:
                process.terminate()
                process.wait()
                raise
    if code:
        raise DevError(f"`{show(command)}` failed with {code}; the end of {log}:\n{tail(log)}", remedy=remedy)


def stop(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Terminate a process, and kill it if it still runs after so many seconds; returns when it has ended."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log, indented."""
    if not log.exists():
        return "    (no log)"
    return "\n".join("    " + line[:300] for line in log.read_text(errors="replace").splitlines()[-lines:])


def show(command: Sequence[str | Path]) -> str:
    """A command as one would type it, shortened."""
    text = shlex.join(str(part) for part in command)
    return text if len(text) < 300 else text[:300] + "..."


def main_of(command: Callable[[], int]) -> int:
    """Run a command-line entry point; foreseeable errors become two lines, never a traceback.

    SIGTERM is treated as Ctrl-C: whatever the command has started is ended with it.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return command()
    except DevError as error:
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        say("interrupted; run the same command again to continue where it stopped")
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # whoever read our output has seen enough
        return 0
    except PermissionError as error:
        say(f"error: {error}\n  remedy: run as root: a cluster needs mounts, addresses and namespaces")
        return 1
    except OSError as error:
        say(f"error: {error}\n  remedy: check free disk space and that the folder is writable, then run it again")
        return 1


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
