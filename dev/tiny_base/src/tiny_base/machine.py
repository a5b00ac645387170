"""What a run computes on: one thread of a CPU, or a GPU, where batches are larger and the wall's clock counts."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from tiny_base.errors import PretrainError

GPU_BATCHES = 8  # batches of a GPU are so many times larger: a network this small would leave it idle otherwise


@dataclass(frozen=True)
class Machine:
    """Where networks are trained."""

    device: torch.device
    batches: int  # how many times larger a batch is than on one thread
    # A thread's own time is counted where it computes itself, so that a busy machine delays the result and does not
    # spoil it.
    clock: Callable[[], float]  # seconds


CPU = Machine(torch.device("cpu"), 1, time.thread_time)


def machine_for(asked: str) -> Machine:
    """Return the machine for "cpu", "cuda", or "auto": a GPU where there is one.

    Raises:
        PretrainError: CUDA is asked for and not there.
    """
    available = torch.cuda.is_available()
    if asked == "cuda" and not available:
        raise PretrainError("device=cuda, but torch finds no CUDA device here: use auto or cpu")
    if asked == "cpu" or not available:
        return CPU
    torch.set_float32_matmul_precision("high")  # TF32: products of ten bits are enough to learn from
    return Machine(torch.device("cuda"), GPU_BATCHES, time.perf_counter)
