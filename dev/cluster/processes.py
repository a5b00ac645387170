"""Long-running programs, started by id and stopped by id; a recycled id is never mistaken for ours."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dev.errors import DevError
from dev.terminal import PATH, say, step, tail

KILL_AFTER_SECONDS = 15


@dataclass(frozen=True)
class Daemon:
    """A program of the cluster: how it is started, and where its id and output go."""

    name: str
    command: tuple[str, ...]
    state: Path
    ports: tuple[tuple[str, int], ...] = ()
    environment: Mapping[str, str] | None = None
    # Files it reads only at start: when one changes, it must start again.
    reads: tuple[Path, ...] = ()

    @property
    def record(self) -> Path:
        """Where its process id is written down."""
        return self.state / "run" / f"{self.name}.json"

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return self.state / "logs" / f"{self.name}.log"

    def fingerprint(self) -> str:
        """Changes when it would be started differently."""
        contents = [path.read_text() for path in self.reads if path.exists()]
        return json.dumps([self.command, dict(self.environment or {}), contents])


def running(record: Path) -> int | None:
    """The id of the recorded process, if that very process still runs."""
    try:
        written = json.loads(record.read_text())
        pid, started = int(written["pid"]), str(written["started"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return pid if start_time(pid) == started else None


def start_time(pid: int) -> str | None:
    """Clock ticks between boot and the start of the process; None when it is gone or only waits to be reaped."""
    try:
        # The second field is the program's name in parentheses, and may itself hold spaces.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def ensure(daemon: Daemon, ready: Callable[[], bool], *, timeout: float = 60) -> bool:
    """Start the program unless it runs as wanted; wait until it is ready. True when it was started now."""
    fingerprint = daemon.fingerprint()
    pid = running(daemon.record)
    if pid is not None and json.loads(daemon.record.read_text()).get("fingerprint") == fingerprint:
        if ready():
            return False
        # It may only just have been started by a command that was interrupted.
        if wait_quietly(ready, 30):
            return False
        say(f"  {daemon.name} runs but is not healthy: starting it again")
    if pid is not None:
        stop(daemon.record)
    with step(f"starting {daemon.name}"):
        launch(daemon, fingerprint)
        wait(daemon, ready, timeout)
    return True


def launch(daemon: Daemon, fingerprint: str) -> None:
    """Start the program and write down its id."""
    for host, port in daemon.ports:
        require_free(daemon.name, host, port)
    daemon.record.parent.mkdir(parents=True, exist_ok=True)
    daemon.log.parent.mkdir(parents=True, exist_ok=True)
    with daemon.log.open("ab") as log:
        process = subprocess.Popen(
            daemon.command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PATH": PATH, **(daemon.environment or {})},
            cwd="/",
            start_new_session=True,  # it outlives this command and its terminal
        )
    document = {"pid": process.pid, "started": start_time(process.pid), "fingerprint": fingerprint}
    daemon.record.write_text(json.dumps(document))
    # It is meant to outlive us; without this the interpreter would warn about it on the way out.
    process.returncode = 0


def require_free(name: str, host: str, port: int) -> None:
    """Refuse to start beside whatever holds our port."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise DevError(
                f"{name} needs {host}:{port}: {error.strerror}",
                remedy="stop what listens there (ss -ltnp), or choose other ports with --port-offset",
            ) from error


def wait(daemon: Daemon, ready: Callable[[], bool], timeout: float) -> None:
    """Wait until the program is ready, or say why it is not."""
    deadline = time.monotonic() + timeout
    while not ready():
        if running(daemon.record) is None:
            raise DevError(
                f"{daemon.name} ended while it started; the end of {daemon.log}:\n{tail(daemon.log)}",
                remedy="read the last lines; `down` then `up` starts from nothing",
            )
        if time.monotonic() > deadline:
            raise DevError(
                f"{daemon.name} was not ready after {timeout:.0f} s; the end of {daemon.log}:\n{tail(daemon.log)}",
                remedy="run it again if the machine is busy; `down` then `up` starts from nothing",
            )
        reap()
        time.sleep(0.2)


def wait_quietly(ready: Callable[[], bool], seconds: float) -> bool:
    """Wait a little; whether it became ready."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if ready():
            return True
        time.sleep(0.3)
    return ready()


def reap() -> None:
    """Collect children that ended, or their ids would look alive."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def stop(record: Path, *, graceful: bool = True) -> bool:
    """Stop the recorded process: SIGTERM first if `graceful`, else SIGKILL at once. True when there was one."""
    pid = running(record)
    if pid is not None:
        end([pid], graceful=graceful)
    record.unlink(missing_ok=True)
    return pid is not None


def end(pids: Sequence[int], *, graceful: bool = True) -> None:
    """Ask the processes to end, kill those that do not, and wait until all are gone."""
    alive = {pid: started for pid in pids if (started := start_time(pid)) is not None}
    for number, patience in ((signal.SIGTERM, KILL_AFTER_SECONDS if graceful else 0), (signal.SIGKILL, 10)):
        if number == signal.SIGTERM and not graceful:
            continue
        for pid in still(alive):
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        deadline = time.monotonic() + patience
        while still(alive) and time.monotonic() < deadline:
            reap()
            time.sleep(0.05)
    if left := still(alive):
        raise DevError(
            f"processes {left} do not end", remedy="they wait for the kernel (see `ps -o stat,wchan`); run `down` again"
        )


def still(alive: Mapping[int, str]) -> list[int]:
    """Those that still run."""
    return [pid for pid, started in alive.items() if start_time(pid) == started]


def find(matches: Callable[[list[str]], bool]) -> list[int]:
    """Ids of the processes whose command line matches; for helpers that others started for us."""
    return [pid for pid in every_process() if matches(command_line(pid))]


def every_process() -> Iterable[int]:
    """The id of every process of the machine."""
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def command_line(pid: int) -> list[str]:
    """The words a process was started with; none when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []
