"""Whose voice it is: one vector from a reference spectrogram."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from sovits_core.bundle.model_config import ConditioningConfig


# Dauphin et al. 2016, Gated Convolutional Networks, arXiv:1612.08083
class GatedConvolution(nn.Module):
    """A convolution over time that adds a gated share of itself to its input."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(channels, 2 * channels, kernel, padding=kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        """x: (batch, channels, time) -> the same shape."""
        return x + functional.glu(self.convolution(x), dim=1)


class ReferenceAttention(nn.Module):
    """Self-attention over the reference with a residual and without a norm."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        # the trained weights expect the root of the full width here, not of one head's
        self.temperature = math.sqrt(width)
        self.q = nn.Linear(width, width)
        self.k = nn.Linear(width, width)
        self.v = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x: (batch, time, width), mask: (batch, 1, time) -> (batch, time, width)."""
        queries, keys, values = (
            projection(x).reshape(x.size(0), x.size(1), self.heads, x.size(2) // self.heads).transpose(1, 2)
            for projection in (self.q, self.k, self.v)
        )  # (batch, heads, time, width / heads)
        scores = queries @ keys.transpose(-1, -2) / self.temperature
        weights = scores.masked_fill(mask[:, :, None, :] == 0, -torch.inf).softmax(dim=-1)
        mixed = (weights @ values).transpose(1, 2).flatten(2)
        result: Tensor = self.out(mixed) + x
        return result


# Min et al. 2021, Meta-StyleSpeech, arXiv:2106.03153; as MelStyleEncoder of GPT_SoVITS/module/modules.py
class ReferenceEncoder(nn.Module):
    """Spectrogram frames, gated convolutions, attention, mean over time."""

    def __init__(self, config: ConditioningConfig) -> None:
        super().__init__()
        width = config.reference_hidden
        self.bins = config.reference_bins
        self.frames = nn.Sequential(nn.Linear(self.bins, width), nn.Mish(), nn.Linear(width, width), nn.Mish())
        self.temporal = nn.ModuleList(GatedConvolution(width, kernel=5) for _ in range(2))
        self.attention = ReferenceAttention(width, config.reference_heads)
        self.projection = nn.Linear(width, config.speaker_embedding)

    def forward(self, spectrogram: Tensor, mask: Tensor) -> Tensor:
        """spectrogram: (batch, bins, frames), linear magnitude; mask: (batch, 1, frames) -> (batch, embedding, 1)."""
        x = self.frames(spectrogram[:, : self.bins].transpose(1, 2) * mask.transpose(1, 2))
        x = x.transpose(1, 2)  # (batch, width, frames)
        for convolution in self.temporal:
            x = convolution(x * mask)
        x = self.attention((x * mask).transpose(1, 2), mask)  # (batch, frames, width)
        x = self.projection(x).transpose(1, 2) * mask  # (batch, embedding, frames)
        mean: Tensor = (x / mask.sum(dim=-1, keepdim=True)).sum(dim=-1, keepdim=True)
        return mean
