"""Frames to a waveform: upsampling stages with residual blocks of several widths (HiFi-GAN's generator)."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from sovits_core.bundle.model_config import UpsamplingConfig
from sovits_core.models.normed import normed

SLOPE = 0.1
LAST_SLOPE = 0.01
"""Slope of the last rectifier: the trained weights expect this other value."""
INITIAL_DEVIATION = 0.01

Activation = Callable[[int], nn.Module]
"""Number of channels to a nonlinearity."""


def rectifier(_: int) -> nn.Module:
    """HiFi-GAN's nonlinearity, the same for all channels."""
    return nn.LeakyReLU(SLOPE)


class ResidualBlock(nn.Module):
    """Pairs of a dilated and a plain convolution, each pair added to its input."""

    def __init__(self, channels: int, kernel: int, dilations: tuple[int, ...], activation: Activation) -> None:
        super().__init__()

        def convolution(dilation: int) -> nn.Conv1d:
            padding = dilation * (kernel - 1) // 2
            made = nn.Conv1d(channels, channels, kernel, dilation=dilation, padding=padding)
            nn.init.normal_(made.weight, std=INITIAL_DEVIATION)
            return normed(made)

        self.dilated = nn.ModuleList(convolution(dilation) for dilation in dilations)
        self.plain = nn.ModuleList(convolution(1) for _ in dilations)
        self.before_dilated = nn.ModuleList(activation(channels) for _ in dilations)
        self.before_plain = nn.ModuleList(activation(channels) for _ in dilations)

    def forward(self, x: Tensor) -> Tensor:
        """x: (batch, channels, time) -> the same shape."""
        for index, (dilated, plain) in enumerate(zip(self.dilated, self.plain, strict=True)):
            inner = dilated(self.before_dilated[index](x))
            x = x + plain(self.before_plain[index](inner))
        return x


class Stage(nn.Module):
    """One upsampling, then the mean of its residual blocks."""

    def __init__(self, config: UpsamplingConfig, index: int, activation: Activation) -> None:
        super().__init__()
        channels = config.upsample_channels // 2**index
        rate, kernel = config.upsample_rates[index], config.upsample_kernels[index]
        upsample = nn.ConvTranspose1d(channels, channels // 2, kernel, rate, padding=(kernel - rate) // 2)
        nn.init.normal_(upsample.weight, std=INITIAL_DEVIATION)
        self.upsample = normed(upsample)
        self.blocks = nn.ModuleList(
            ResidualBlock(channels // 2, kernel, dilations, activation)
            for kernel, dilations in zip(config.block_kernels, config.block_dilations, strict=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        """x: (batch, channels, time) -> (batch, channels / 2, time * rate)."""
        x = self.upsample(x)
        return torch.stack([block(x) for block in self.blocks]).mean(dim=0)


def stages(config: UpsamplingConfig, activation: Activation) -> nn.ModuleList:
    """All stages of a configuration."""
    return nn.ModuleList(Stage(config, index, activation) for index in range(len(config.upsample_rates)))


# Kong et al. 2020, HiFi-GAN, arXiv:2010.05646; as Generator of GPT_SoVITS/module/models.py
class WaveformGenerator(nn.Module):
    """Frames, conditioned on a speaker embedding where there is one, to samples between -1 and 1."""

    def __init__(
        self, config: UpsamplingConfig, inputs: int, *, speaker_embedding: int | None = None, output_bias: bool = False
    ) -> None:
        super().__init__()
        self.input = nn.Conv1d(inputs, config.upsample_channels, 7, padding=3)
        self.condition = (
            None if speaker_embedding is None else nn.Conv1d(speaker_embedding, config.upsample_channels, 1)
        )
        self.stages = stages(config, rectifier)
        last = config.upsample_channels // 2 ** len(config.upsample_rates)
        self.output = nn.Conv1d(last, 1, 7, padding=3, bias=output_bias)

    def forward(self, x: Tensor, speaker_embedding: Tensor | None = None) -> Tensor:
        """x: (batch, inputs, frames), speaker_embedding: (batch, embedding, 1) -> (batch, 1, frames * hop)."""
        x = self.input(x)
        if self.condition is not None:
            x = x + self.condition(speaker_embedding)
        for stage in self.stages:
            x = stage(functional.leaky_relu(x, SLOPE))
        return torch.tanh(self.output(functional.leaky_relu(x, LAST_SLOPE)))
