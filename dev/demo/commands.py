"""The development commands that the demo runs side by side, and ends together."""

from __future__ import annotations

import subprocess
from threading import Lock
from types import TracebackType
from typing import Self

from dev.errors import DevError
from dev.paths import REPOSITORY

STOP_SECONDS = 60.0


class Commands:
    """Runs `python3 -m dev.<module>`, from several threads too; those that still run at the end are interrupted."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._running: list[subprocess.Popen[str]] = []
        self._ending = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Terminate the commands that still run; they end their own children."""
        with self._lock:
            self._ending = True
            left = list(self._running)
        for process in left:
            process.terminate()
        for process in left:
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()

    def run(self, module: str, *arguments: str) -> str:
        """Run one command and return its standard output; its messages for people go to the terminal.

        Raises:
            DevError: it failed, or the others were being ended.
        """
        command = ["python3", "-m", f"dev.{module}", *arguments]
        with self._lock:
            if self._ending:
                raise DevError(f"`{' '.join(command)}` was not started", remedy="the lines above say why")
            # A session of its own: Ctrl-C reaches this process alone, which then ends each command once.
            process = subprocess.Popen(
                command,
                cwd=REPOSITORY,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
            self._running.append(process)
        printed, _ = process.communicate()
        with self._lock:
            self._running.remove(process)
        if process.returncode:
            raise DevError(f"`{' '.join(command)}` ended with {process.returncode}", remedy="the lines above say why")
        return printed.strip()
