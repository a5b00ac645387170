"""One stage of training: a time budget, a falling learning rate, curves, and checkpoints to resume from."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from tiny_base.machine import CPU, Machine

WARMUP = 0.03  # fraction of the budget with a rising learning rate
FINAL = 0.05  # fraction of the learning rate at the end
CHECKPOINT_SECONDS = 30.0
REPORT_STEPS = 20


class Stage:
    """Counts the computing seconds that one module has been trained for, over restarts too.

    Weights and used time are kept in `<folder>/<name>.safetensors`; a run that was killed loses at most a minute and
    the optimiser's moments.
    """

    def __init__(self, name: str, folder: Path, module: nn.Module, seconds: float, machine: Machine = CPU) -> None:
        self.name = name
        self.machine = machine
        self.module = module
        self.seconds = seconds
        self.path = folder / f"{name}.safetensors"
        self.curves = folder / "curves.csv"
        self.used, self.step = 0.0, 0
        self._logged: dict[str, list[torch.Tensor]] = {}
        folder.mkdir(parents=True, exist_ok=True)
        self._writer: Any = SummaryWriter(str(folder / "tensorboard" / name))
        if self.path.exists():
            self._resume()

    @property
    def progress(self) -> float:
        """How much of the budget is used, from 0 to 1."""
        return min(1.0, self.used / self.seconds) if self.seconds > 0 else 1.0

    def steps(self, optimizers: list[torch.optim.Optimizer]) -> Iterator[int]:
        """Yield step numbers until the budget is used, setting the learning rates on the way."""
        rates = [group["lr"] for optimizer in optimizers for group in optimizer.param_groups]
        last = saved = self.machine.clock()
        bar = tqdm(total=round(self.seconds), initial=round(self.used), desc=self.name, unit="s", disable=None)
        while self.progress < 1:
            groups = [group for optimizer in optimizers for group in optimizer.param_groups]
            for group, rate in zip(groups, rates, strict=True):
                group["lr"] = rate * self._rate()
            yield self.step
            now = self.machine.clock()
            self.used += now - last
            last = now
            bar.update(min(round(self.used), bar.total) - bar.n)
            self.step += 1
            if self.step % REPORT_STEPS == 0:
                self._report()
            if now - saved > CHECKPOINT_SECONDS:
                self.save()
                saved = now
        bar.close()
        self.save()
        self._writer.close()

    def log(self, **values: torch.Tensor) -> None:
        """Add to the averages of the next report; a value that only some steps log is averaged over those."""
        for name, value in values.items():
            # Not converted yet: that would synchronise a GPU in every step.
            self._logged.setdefault(name, []).append(value.detach())

    def save(self) -> None:
        """Write the weights and the time used, through a second name, so that a kill leaves the older file complete."""
        state = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in self.module.state_dict().items()}
        partial = self.path.with_suffix(".partial")
        save_file(state, partial, metadata={"step": str(self.step), "used": str(self.used)})
        partial.replace(self.path)

    def _resume(self) -> None:
        with safe_open(self.path, framework="pt") as stored:
            metadata = stored.metadata()
            self.module.load_state_dict({name: stored.get_tensor(name) for name in stored.keys()})  # noqa: SIM118 -- no dict
        self.step, self.used = int(metadata["step"]), float(metadata["used"])

    def _rate(self) -> float:
        if self.progress < WARMUP:
            return max(0.01, self.progress / WARMUP)
        return FINAL + (1 - FINAL) * 0.5 * (1 + math.cos(math.pi * self.progress))

    def _report(self) -> None:
        fresh = not self.curves.exists()
        with self.curves.open("a", newline="", encoding="utf-8") as table:
            writer = csv.writer(table)
            if fresh:
                writer.writerow(["stage", "step", "seconds", "name", "value"])
            for name, values in self._logged.items():
                value = fmean(float(one) for one in values)
                writer.writerow([self.name, self.step, f"{self.used:.0f}", name, f"{value:.4f}"])
                self._writer.add_scalar(name, value, self.step)
        self._logged.clear()
