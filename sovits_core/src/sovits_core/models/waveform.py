"""Latent frames to a waveform: upsampling stages with residual blocks of several widths (HiFi-GAN's generator)."""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from sovits_core.model_config import SynthesizerConfig
from sovits_core.models.normed import normed

SLOPE = 0.1
LAST_SLOPE = 0.01
"""Slope of the last rectifier: the trained weights expect this other value."""
INITIAL_DEVIATION = 0.01


class ResidualBlock(nn.Module):
    """Pairs of a dilated and a plain convolution, each pair added to its input."""

    def __init__(self, channels: int, kernel: int, dilations: tuple[int, ...]) -> None:
        super().__init__()

        def convolution(dilation: int) -> nn.Conv1d:
            padding = dilation * (kernel - 1) // 2
            made = nn.Conv1d(channels, channels, kernel, dilation=dilation, padding=padding)
            nn.init.normal_(made.weight, std=INITIAL_DEVIATION)
            return normed(made)

        self.dilated = nn.ModuleList(convolution(dilation) for dilation in dilations)
        self.plain = nn.ModuleList(convolution(1) for _ in dilations)

    def forward(self, x: Tensor) -> Tensor:
        """x: (batch, channels, time) -> the same shape."""
        for dilated, plain in zip(self.dilated, self.plain, strict=True):
            inner = dilated(functional.leaky_relu(x, SLOPE))
            x = x + plain(functional.leaky_relu(inner, SLOPE))
        return x


class Stage(nn.Module):
    """One upsampling, then the mean of its residual blocks."""

    def __init__(self, config: SynthesizerConfig, index: int) -> None:
        super().__init__()
        channels = config.upsample_channels // 2**index
        rate, kernel = config.upsample_rates[index], config.upsample_kernels[index]
        upsample = nn.ConvTranspose1d(channels, channels // 2, kernel, rate, padding=(kernel - rate) // 2)
        nn.init.normal_(upsample.weight, std=INITIAL_DEVIATION)
        self.upsample = normed(upsample)
        self.blocks = nn.ModuleList(
            ResidualBlock(channels // 2, kernel, dilations)
            for kernel, dilations in zip(config.block_kernels, config.block_dilations, strict=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        """x: (batch, channels, time) -> (batch, channels / 2, time * rate)."""
        x = self.upsample(functional.leaky_relu(x, SLOPE))
        return torch.stack([block(x) for block in self.blocks]).mean(dim=0)


class WaveformGenerator(nn.Module):
    """Latent frames and a timbre to samples between -1 and 1."""

    def __init__(self, config: SynthesizerConfig) -> None:
        super().__init__()
        self.input = nn.Conv1d(config.latent, config.upsample_channels, 7, padding=3)
        self.condition = nn.Conv1d(config.timbre, config.upsample_channels, 1)
        self.stages = nn.ModuleList(Stage(config, index) for index in range(len(config.upsample_rates)))
        last = config.upsample_channels // 2 ** len(config.upsample_rates)
        self.output = nn.Conv1d(last, 1, 7, padding=3, bias=False)

    def forward(self, z: Tensor, timbre: Tensor) -> Tensor:
        """z: (batch, latent, frames), timbre: (batch, timbre, 1) -> (batch, 1, frames * hop)."""
        x = self.input(z) + self.condition(timbre)
        for stage in cast("list[Stage]", self.stages):
            x = stage(x)
        return torch.tanh(self.output(functional.leaky_relu(x, LAST_SLOPE)))
