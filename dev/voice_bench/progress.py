"""Runs tasks in two processes and says how far they are, and how long the rest may take."""

from __future__ import annotations

import multiprocessing
import os
import queue
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

from dev.terminal import say

PROCESSES = 2
"""Of one thread each: torch with several threads waits for the slowest of them."""
MOMENT = 0.5  # seconds between looks


@dataclass(frozen=True)
class Task:
    """Something to run, and the seconds that each of its steps usually takes."""

    name: str
    function: Callable[..., Any]
    """Takes `arguments` and what tells that a step is done; must be importable by another process."""
    arguments: tuple[Any, ...]
    steps: tuple[float, ...]


def run_all(tasks: Sequence[Task]) -> list[Any]:
    """Return what the tasks return, in their order; the first one that fails ends all.

    Raises:
        Exception: whatever a task raises.
    """
    # Set before the processes import NumPy and torch, which read it once.
    os.environ["OMP_NUM_THREADS"] = "1"
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(PROCESSES, mp_context=context) as pool:
        messages: Any = manager.Queue()
        futures = [
            pool.submit(task.function, *task.arguments, partial(_tell, messages, number))
            for number, task in enumerate(tasks)
        ]
        try:
            _follow(tasks, futures, messages)
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _follow(tasks: Sequence[Task], futures: Sequence[Future[Any]], messages: Any) -> None:
    """Print a line for each step that is done, until all tasks are or one has failed."""
    started = time.monotonic()
    whole = sum(sum(task.steps) for task in tasks)
    done = [0] * len(tasks)
    while True:
        over = all(future.done() for future in futures)
        try:
            number, what = messages.get(timeout=MOMENT)
        except queue.Empty:
            if over or any(future.done() and future.exception() for future in futures):
                return
            continue
        done[number] += 1
        behind = sum(sum(task.steps[:count]) for task, count in zip(tasks, done, strict=True))
        say(progress_line(tasks[number].name, what, behind / whole, time.monotonic() - started))


def progress_line(name: str, what: str, share: float, seconds: float) -> str:
    """Say what is done, and how long the rest takes if it goes on like this."""
    left = seconds * (1 - share) / share if share > 0 else 0.0
    return f"  {share:4.0%}, about {left / 60:.0f} min left · {name}: {what}"


def _tell(messages: Any, number: int, what: str) -> None:
    messages.put((number, what))
