"""Mixed precision: networks in 16 bits where the device computes them faster, losses and updates in 32."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch.amp.grad_scaler import GradScaler

Name = Literal["fp32", "bf16", "fp16"]

# A scale of fp16's gradients that is too large costs a step each time it is halved, and a fine-tune has few. So it
# begins low and is doubled early.
FIRST_SCALE = 16.0
STEPS_BETWEEN_DOUBLINGS = 50

TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


# Micikevicius et al. 2018, Mixed Precision Training, arXiv:1710.03740
@dataclass(frozen=True)
class Precision:
    """What the networks compute in; the adapter and its optimiser stay in float32."""

    name: Name
    device: torch.device
    scaler: GradScaler = field(init=False)
    """Keeps small gradients of fp16 from vanishing; passes those of others through unchanged."""

    def __post_init__(self) -> None:
        scaler = GradScaler(
            self.device.type,
            init_scale=FIRST_SCALE,
            growth_interval=STEPS_BETWEEN_DOUBLINGS,
            enabled=self.name == "fp16",
        )
        object.__setattr__(self, "scaler", scaler)

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context in which the networks run; what leaves it may be of 16 bits."""
        if self.name == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, TYPES[self.name])


def choose_precision(asked: Literal["auto", "fp32", "bf16", "fp16"], device: torch.device) -> Precision:
    """Return what is asked for; ``auto``: bf16 where a GPU computes in it, fp16 on other GPUs, float32 on a CPU.

    On a CPU the same job gives the same adapter, and 16 bits save nothing that a CPU would gain from.
    """
    if asked != "auto":
        return Precision(asked, device)
    if device.type == "cpu":
        return Precision("fp32", device)
    return Precision("bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16", device)
