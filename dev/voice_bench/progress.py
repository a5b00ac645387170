"""Runs tasks in two processes and reports progress and remaining time."""

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
POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Task:
    """A function to run, and the usual seconds of each of its steps."""

    name: str
    function: Callable[..., Any]
    """Takes `arguments` and a callback for finished steps; must be importable by another process."""
    arguments: tuple[Any, ...]
    steps: tuple[float, ...]


def run_all(tasks: Sequence[Task]) -> list[Any]:
    """Return what the tasks return, in their order; the first failure cancels all.

    Raises:
        Exception: whatever a task raises.
    """
    # Set before the processes import NumPy and torch, which read it once.
    os.environ["OMP_NUM_THREADS"] = "1"
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(PROCESSES, mp_context=context) as pool:
        messages: Any = manager.Queue()
        futures = [
            pool.submit(task.function, *task.arguments, partial(_report, messages, number))
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
        finished_all = all(future.done() for future in futures)
        try:
            number, step = messages.get(timeout=POLL_SECONDS)
        except queue.Empty:
            if finished_all or any(future.done() and future.exception() for future in futures):
                return
            continue
        done[number] += 1
        finished = sum(sum(task.steps[:count]) for task, count in zip(tasks, done, strict=True))
        say(progress_line(tasks[number].name, step, finished / whole, time.monotonic() - started))


def progress_line(name: str, step: str, fraction: float, seconds: float) -> str:
    """Format a finished step, and the remaining time at the present rate."""
    left = seconds * (1 - fraction) / fraction if fraction > 0 else 0.0
    return f"  {fraction:4.0%}, about {left / 60:.0f} min left · {name}: {step}"


def _report(messages: Any, number: int, step: str) -> None:
    messages.put((number, step))
