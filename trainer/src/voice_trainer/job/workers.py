"""Processes that work on one item after another, apart from the job: no keys, limits of their own, as many as asked."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Final

from voice_trainer.errors import Transient
from voice_trainer.job import children
from voice_trainer.job.questions import Programs, ask, end

ANSWER_LIMIT: Final = 256 * 1024  # bytes of one answer
START_SECONDS: Final = 60.0  # to import libraries, besides what an item may take
NO_THREADS: Final = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class ItemFailed(Exception):
    """The program cannot work on this item, ended on it, or took too long; others may do well."""


class Workers(Programs["_Worker"]):
    """Processes of one program, as many as are asked at a time; safe to use from several threads.

    The program gets two numbers of open files. For each line of JSON on its standard input it finds data in the first
    file, may put data into the second one, and writes one line of JSON: ``{"error": sentence}`` or its answer.
    """

    def __init__(
        self, program: Path, bounds: children.Bounds, variables: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        super().__init__()
        self._program = program
        self._bounds = bounds
        self._variables = variables

    def ask(self, question: Mapping[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
        """Return the answer and the data that came with it.

        Raises:
            ItemFailed: there is none.
            Transient: the program cannot run at all.
        """
        with self._borrowed() as worker:
            return worker.ask(question, data)

    def _start(self) -> _Worker:
        return _Worker(self._program, self._bounds, self._variables)


class _Worker:
    """One process, and the files that data goes through."""

    def __init__(self, program: Path, bounds: children.Bounds, variables: Mapping[str, str]) -> None:
        self._name = program.stem
        self._bounds = bounds
        self._given: IO[bytes] = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 -- closed with the process
        self._made: IO[bytes] = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
        numbers = self._given.fileno(), self._made.fileno()
        self._process: subprocess.Popen[bytes] = children.start(
            [sys.executable, "-P", str(program), *map(str, numbers)],
            bounds,
            variables={"PYTHONPATH": os.pathsep.join(part for part in sys.path if part), **NO_THREADS, **variables},
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
        answer = self._answer(question)
        if "error" in answer:
            raise ItemFailed(str(answer["error"])[:200])
        self._made.seek(0)
        return answer, self._made.read(self._bounds.file_bytes) or b""

    def close(self) -> None:
        end(self._process)
        self._given.close()
        self._made.close()

    def _answer(self, question: Mapping[str, Any]) -> dict[str, Any]:
        seconds, self._seconds = self._seconds, self._bounds.wall_seconds
        try:
            return ask(self._process, question, seconds=seconds, limit=ANSWER_LIMIT)
        except children.ChildFailed as error:
            if not isinstance(error, children.ChildTimedOut) and error.status > 0:  # Python or a library is missing
                raise Transient(
                    f"{self._name} cannot run ({error}); use the trainer's image as it was released",
                    reason="WorkerFailed",
                ) from error
            raise ItemFailed(str(error)) from error


def _replace(file: IO[bytes], data: bytes) -> None:
    file.seek(0)
    file.truncate()
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]
