"""Speed, memory and losses of training steps, in this process."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from typing import Any, Literal

import torch

from dev.gpu_check.sizes import Sizes
from sovits_core.bundle.strategies import Finetuning
from sovits_core.formats.adapters import attach_adapter
from voice_trainer.stages.train import MIB, peak_memory
from voice_trainer.training.examples import Batch, Example, collate
from voice_trainer.training.finetune import Finetuner, LearningRates, StepLosses
from voice_trainer.training.precision import Precision
from voice_trainer.training.recompute import recompute_activations

RATE = 2e-4
WARM_STEPS = 2
Name = Literal["fp32", "bf16", "fp16"]


def a_finetuner(sizes: Sizes, device: torch.device, precision: Name, *, recompute: bool, seed: int = 1) -> Finetuner:
    """Return a fresh fine-tuner of rank 8."""
    networks = sizes.networks()
    model = attach_adapter(networks, 8, ("attention",), seed).to(device)
    if recompute:
        recompute_activations(networks)
    model.train()
    return Finetuner(model, networks, LearningRates(RATE, RATE), Finetuning(), Precision(precision, device))


def batches(examples: list[Example], size: int, device: torch.device) -> Iterator[Batch]:
    """Yield batches of the clips, again and again."""
    start = 0
    while True:
        chosen = [examples[(start + offset) % len(examples)] for offset in range(size)]
        yield collate(chosen, [example.speaker_embedding for example in chosen], device)
        start += size


def speed(sizes: Sizes, device: torch.device, batch: int, precision: Name, *, recompute: bool) -> dict[str, Any]:
    """Return clips per second and peak memory of steps of one batch size."""
    finetuner, source = (
        a_finetuner(sizes, device, precision, recompute=recompute),
        batches(sizes.examples(), batch, device),
    )
    row: dict[str, Any] = {"batch": batch, "precision": precision, "gradientCheckpointing": recompute}
    try:
        for step in range(WARM_STEPS):
            finetuner.step([next(source)], torch.Generator(device).manual_seed(step))
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        begun = time.monotonic()
        for step in range(sizes.timed_steps):
            finetuner.step([next(source)], torch.Generator(device).manual_seed(step))  # ends with a synchronisation
        seconds = time.monotonic() - begun
    except torch.OutOfMemoryError:
        return row | {"outOfMemory": True}
    rate = batch * sizes.timed_steps / seconds
    return row | {"clipsPerSecond": round(rate, 2), "peakMemoryMiB": peak_memory(device) // MIB}


def losses(sizes: Sizes, device: torch.device, precision: Name, seed: int) -> list[StepLosses]:
    """Return the losses of some steps, with dropout and noise of that seed."""
    finetuner, source = a_finetuner(sizes, device, precision, recompute=False), batches(sizes.examples(), 2, device)
    found = []
    for step in range(sizes.compared_steps):
        torch.manual_seed(1000 * seed + step)
        found.append(finetuner.step([next(source)], torch.Generator(device).manual_seed(1000 * seed + step)))
    return found


def compare(sizes: Sizes, device: torch.device) -> dict[str, Any]:
    """Return how far losses in 16 bits are from those in 32, and how far those of two seeds are from each other."""
    exact, other = losses(sizes, device, "fp32", seed=1), losses(sizes, device, "fp32", seed=2)
    names: tuple[Name, ...] = ("bf16", "fp16")
    found: dict[str, list[StepLosses]] = {name: losses(sizes, device, name, seed=1) for name in names}
    return {
        "steps": sizes.compared_steps,
        "lossesFp32": [round(one.total, 4) for one in exact],
        **{f"meanDifference{name.capitalize()}": distance(exact, rows) for name, rows in found.items()},
        "meanDifferenceOfSeeds": distance(exact, other),
    }


def distance(one: list[StepLosses], other: list[StepLosses]) -> float:
    """Return the mean relative difference of two courses' losses."""
    return round(statistics.fmean(abs(a.total - b.total) / a.total for a, b in zip(one, other, strict=True)), 5)
