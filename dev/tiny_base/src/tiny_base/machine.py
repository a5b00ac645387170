"""The device of a run: one thread of a CPU, or a GPU, with larger batches and the wall clock as its budget."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from tiny_base.errors import DeviceUnavailable

GPU_BATCHES = 8  # factor on the batch size: networks this small would leave a GPU idle otherwise


@dataclass(frozen=True)
class Machine:
    """A device, its batch size and its clock."""

    device: torch.device
    batches: int  # factor on the batch size
    # On a CPU the thread's own time, so that other load delays a run and does not shorten its training.
    clock: Callable[[], float]  # seconds


CPU = Machine(torch.device("cpu"), 1, time.thread_time)


def machine_for(asked: str) -> Machine:
    """Return the machine for "cpu", "cuda", or "auto": a GPU where there is one.

    Raises:
        DeviceUnavailable: CUDA is asked for and not available.
    """
    available = torch.cuda.is_available()
    if asked == "cuda" and not available:
        raise DeviceUnavailable("device=cuda, but torch finds no CUDA device here: use auto or cpu")
    if asked == "cpu" or not available:
        return CPU
    torch.set_float32_matmul_precision("high")  # TF32: ten bits of mantissa are enough for training
    return Machine(torch.device("cuda"), GPU_BATCHES, time.perf_counter)
