"""The vocoder of v3, BigVGAN: HiFi-GAN's stages with periodic nonlinearities that create no aliases."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from sovits_core.bundle.model_config import BigVganConfig
from sovits_core.models import normed
from sovits_core.models.waveform import INITIAL_DEVIATION, stages

RATIO = 2
"""Nonlinearities run at this multiple of the rate of their input."""
TAPS = 12
"""Length of the filters before and after a nonlinearity."""
SMALLEST_MAGNITUDE = 1e-9


def low_pass(cutoff: float, half_width: float, taps: int) -> Tensor:
    """A sinc under Kaiser's window whose taps add up to one: (taps).

    Args:
        cutoff: in cycles per sample, below 0.5.
        half_width: half of the transition band, in the same unit.
        taps: even.
    """
    # Kaiser's formulas: attenuation in decibels from width and length, and the window's shape from the attenuation
    attenuation = 2.285 * (taps // 2 - 1) * math.pi * 4 * half_width + 7.95
    if attenuation > 50:
        beta = 0.1102 * (attenuation - 8.7)
    elif attenuation >= 21:
        beta = 0.5842 * (attenuation - 21) ** 0.4 + 0.07886 * (attenuation - 21)
    else:
        beta = 0.0
    window = torch.kaiser_window(taps, periodic=False, beta=beta)
    times = torch.arange(taps) - (taps - 1) / 2
    response = window * torch.sinc(2 * cutoff * times)
    return response / response.sum()


# Ziyin et al. 2020, Snake, arXiv:2006.08195, with the second parameter of BigVGAN
class SnakeBeta(nn.Module):
    """x + sin²(frequency x) / magnitude, with both per channel and stored as logarithms."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.log_frequency = nn.Parameter(torch.zeros(channels))
        self.log_magnitude = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """x: (batch, channels, time) -> the same shape."""
        frequency, magnitude = self.log_frequency.exp()[:, None], self.log_magnitude.exp()[:, None]
        return x + (frequency * x).sin().square() / (magnitude + SMALLEST_MAGNITUDE)


# Karras et al. 2021, StyleGAN3, arXiv:2106.12423, for one dimension
class AliasFree(nn.Module):
    """A nonlinearity at twice the rate, between filters that keep what it makes above the old one from folding back."""

    up_filter: Tensor
    down_filter: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.nonlinearity = SnakeBeta(channels)
        response = low_pass(0.5 / RATIO, 0.6 / RATIO, TAPS)[None, None]
        # kept with the weights, as the official checkpoint does
        self.register_buffer("up_filter", response.clone())
        self.register_buffer("down_filter", response.clone())

    def forward(self, x: Tensor) -> Tensor:
        """x: (batch, channels, time) -> the same shape."""
        channels, time = x.shape[1:]
        margin = TAPS // RATIO - 1
        x = functional.pad(x, (margin, margin), mode="replicate")
        up = self.up_filter.expand(channels, -1, -1)
        x = RATIO * functional.conv_transpose1d(x, up, stride=RATIO, groups=channels)
        first = margin * RATIO + (TAPS - RATIO) // 2
        x = self.nonlinearity(x[:, :, first : first + RATIO * time])
        x = functional.pad(x, (TAPS // 2 - 1, TAPS // 2), mode="replicate")
        down = self.down_filter.expand(channels, -1, -1)
        return functional.conv1d(x, down, stride=RATIO, groups=channels)  # (batch, channels, time)


# Lee et al. 2022, BigVGAN, arXiv:2206.04658
class BigVgan(nn.Module):
    """A mel to a waveform. Keep it in float32: half precision is known to overflow."""

    def __init__(self, config: BigVganConfig) -> None:
        super().__init__()
        self.config = config
        self.input = normed.normed(nn.Conv1d(config.bands, config.upsample_channels, 7, padding=3))
        self.stages = stages(config, AliasFree)
        last = config.upsample_channels // 2 ** len(config.upsample_rates)
        self.activation = AliasFree(last)
        output = nn.Conv1d(last, 1, 7, padding=3, bias=False)
        nn.init.normal_(output.weight, std=INITIAL_DEVIATION)
        self.output = normed.normed(output)

    def forward(self, mel: Tensor) -> Tensor:
        """mel: (batch, bands, frames), natural log -> (batch, 1, frames * hop) between -1 and 1."""
        x = self.input(mel)
        for stage in self.stages:
            x = stage(x)  # unlike HiFi-GAN's, without a nonlinearity before the upsampling
        wav: Tensor = self.output(self.activation(x))
        return wav.clamp(-1, 1)

    def fold_weight_norm(self) -> None:
        """Make all weights plain, for inference and export; the outputs stay the same."""
        normed.fold_weight_norm(self)
