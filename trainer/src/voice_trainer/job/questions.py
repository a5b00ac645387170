"""Programs that are asked one question after another: kept while they live, a line of JSON each way."""

from __future__ import annotations

import json
import os
import select
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Generic, Protocol, Self, TypeVar

from voice_trainer.job import children


class Program(Protocol):
    """A running program."""

    @property
    def is_alive(self) -> bool:
        """Whether it can be asked."""

    def close(self) -> None:
        """End it."""


Kept = TypeVar("Kept", bound=Program)


class Programs(Generic[Kept]):
    """Running programs of one kind, as many as are asked at a time; safe to use from several threads."""

    def __init__(self) -> None:
        self._idle: list[Kept] = []
        self._lock = threading.Lock()
        self._running = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def _start(self) -> Kept:
        """Start one more."""
        raise NotImplementedError

    @contextmanager
    def _borrowed(self) -> Iterator[Kept]:
        with self._lock:
            program = self._idle.pop() if self._idle else None
        if program is None:
            program = self._start()
            with self._lock:
                self._running.callback(program.close)
        try:
            yield program
        finally:
            with self._lock:
                if program.is_alive:
                    self._idle.append(program)


def end(process: subprocess.Popen[bytes]) -> None:
    """Stop a program and close its pipes; a question that it did not live to read goes with it."""
    children.stop(process)
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(BrokenPipeError):
                pipe.close()


def ask(process: subprocess.Popen[bytes], question: Mapping[str, Any], *, seconds: float, limit: int) -> dict[str, Any]:
    """Write a question to a program's standard input, and return what it answers on its standard output.

    A program that gives no answer is ended. ``limit`` is the most bytes of one.

    Raises:
        ChildTimedOut: it took more than ``seconds``.
        ChildFailed: it ended, or answered something else; the status says how it ended.
    """
    pipe, answers = process.stdin, process.stdout
    assert pipe is not None  # noqa: S101 -- it was started with both
    assert answers is not None  # noqa: S101
    deadline = time.monotonic() + seconds
    line = b""
    with suppress(BrokenPipeError):
        pipe.write(json.dumps(question).encode() + b"\n")
        pipe.flush()
        while not line.endswith(b"\n") and len(line) <= limit:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([answers], [], [], left)[0]:
                children.stop(process)
                raise children.ChildTimedOut(f"it took more than {seconds:.0f} s")
            part = os.read(answers.fileno(), limit)
            line += part
            if not part:
                break
    try:
        answer = json.loads(line)
    except ValueError:
        answer = None
    if isinstance(answer, dict):
        return answer
    with suppress(subprocess.TimeoutExpired):  # its pipe may be closed before it has ended
        process.wait(timeout=1)
    children.stop(process)
    raise children.ChildFailed(children.ending(process.returncode), process.returncode)
