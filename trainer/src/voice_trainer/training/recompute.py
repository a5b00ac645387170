"""Gradient checkpointing: activations of large blocks are computed again on the way back, instead of being kept."""

from __future__ import annotations

from functools import partial
from typing import Literal

from torch import nn
from torch.utils.checkpoint import checkpoint

from sovits_core.models.encoder import EncoderLayer
from sovits_core.models.flow import AffineCoupling
from sovits_core.models.networks import Networks
from sovits_core.models.semantic import Layer
from sovits_core.models.waveform import Stage

BLOCKS = (Layer, EncoderLayer, AffineCoupling, Stage)


def wants_recomputation(asked: Literal["auto", "always", "never"], batch_size_divisor: int) -> bool:
    """Return whether to recompute; ``auto``: from the first time on that the GPU's memory did not suffice."""
    return asked == "always" or (asked == "auto" and batch_size_divisor > 1)


# Chen et al. 2016, Training Deep Nets with Sublinear Memory Cost, arXiv:1604.06174
def recompute_activations(networks: Networks) -> None:
    """Change the networks so that each block keeps its input alone; results stay the same, dropout included."""
    for block in networks.modules():
        if isinstance(block, BLOCKS):
            _wrap(block)


def _wrap(block: nn.Module) -> None:
    block.forward = partial(checkpoint, block.forward, use_reentrant=False)
