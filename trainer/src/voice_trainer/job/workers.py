"""Processes that work on one item after another, apart from the job: no keys, limits of their own, as many as asked."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final, Self

from voice_trainer.errors import Transient
from voice_trainer.job import children

ANSWER_LIMIT: Final = 256 * 1024  # bytes of one answer
START_SECONDS: Final = 60.0  # to import libraries, besides what an item may take
NO_THREADS: Final = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class ItemFailed(Exception):
    """The program cannot work on this item, ended on it, or took too long; others may do well."""


class Workers:
    """Processes of one program, as many as are asked at a time; safe to use from several threads.

    The program gets two numbers of open files. For each line of JSON on its standard input it finds data in the first
    file, may put data into the second one, and writes one line of JSON: ``{"error": sentence}`` or its answer.
    """

    def __init__(self, program: Path, bounds: children.Bounds) -> None:
        self._program = program
        self._bounds = bounds
        self._idle: list[_Worker] = []
        self._lock = threading.Lock()
        self._running = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def ask(self, question: Mapping[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
        """Return the answer and the data that came with it.

        Raises:
            ItemFailed: there is none.
            Transient: the program cannot run at all.
        """
        with self._borrowed() as worker:
            return worker.ask(question, data)

    @contextmanager
    def _borrowed(self) -> Iterator[_Worker]:
        with self._lock:
            worker = self._idle.pop() if self._idle else None
        if worker is None:
            worker = _Worker(self._program, self._bounds)
            with self._lock:
                self._running.callback(worker.close)
        try:
            yield worker
        finally:
            with self._lock:
                if worker.is_alive:
                    self._idle.append(worker)


class _Worker:
    """One process, and the files that data goes through."""

    def __init__(self, program: Path, bounds: children.Bounds) -> None:
        self._name = program.stem
        self._bounds = bounds
        self._given: IO[bytes] = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 -- closed with the process
        self._made: IO[bytes] = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
        numbers = self._given.fileno(), self._made.fileno()
        self._process: subprocess.Popen[bytes] = children.start(
            [sys.executable, "-P", str(program), *map(str, numbers)],
            bounds,
            variables={"PYTHONPATH": os.pathsep.join(part for part in sys.path if part), **NO_THREADS},
            pass_fds=numbers,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._seconds = START_SECONDS + bounds.wall_seconds

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, question: Mapping[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
        _replace(self._given, data)
        _replace(self._made, b"")
        answer = self._answer(json.dumps(question).encode() + b"\n")
        if "error" in answer:
            raise ItemFailed(str(answer["error"])[:200])
        self._made.seek(0)
        return answer, self._made.read(self._bounds.file_bytes) or b""

    def close(self) -> None:
        children.stop(self._process)
        for pipe in (self._process.stdin, self._process.stdout, self._given, self._made):
            if pipe is not None:
                pipe.close()

    def _answer(self, question: bytes) -> dict[str, Any]:
        pipe, answers = self._process.stdin, self._process.stdout
        assert pipe is not None  # noqa: S101 -- it was started with both
        assert answers is not None  # noqa: S101
        deadline = time.monotonic() + self._seconds
        line = b""
        with suppress(BrokenPipeError):
            pipe.write(question)
            pipe.flush()
            while not line.endswith(b"\n") and len(line) <= ANSWER_LIMIT:
                left = deadline - time.monotonic()
                if left <= 0 or not select.select([answers], [], [], left)[0]:
                    children.stop(self._process)
                    raise ItemFailed(f"it took more than {self._seconds:.0f} s")
                part = os.read(answers.fileno(), ANSWER_LIMIT)
                line += part
                if not part:
                    break
        self._seconds = self._bounds.wall_seconds
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        if isinstance(answer, dict):
            return answer
        with suppress(subprocess.TimeoutExpired):  # its pipe may be closed before it has ended
            self._process.wait(timeout=1)
        children.stop(self._process)
        if self._process.returncode > 0:  # by itself: Python, a library or the program is missing
            raise Transient(
                f"{self._name} cannot run ({children.ending(self._process.returncode)}); "
                "use the trainer's image as it was released",
                reason="WorkerFailed",
            )
        raise ItemFailed(children.ending(self._process.returncode))


def _replace(file: IO[bytes], data: bytes) -> None:
    file.seek(0)
    file.truncate()
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]
