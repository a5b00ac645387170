"""Sub-bands at 250 Hz (an MDCT), and the waveform generator's late stages initialised as the inverse transform.

Amplitudes and phases of the sub-bands determine the waveform. A generator whose late stages start as an exact inverse
transform learns them at 250 steps a second, a hundredth of the work.

Sources: the MDCT: Princen & Bradley 1986, Analysis/Synthesis Filter Bank Design Based on Time Domain Aliasing
Cancellation, IEEE Transactions ASSP 34, and Princen, Johnson & Bradley 1987, ICASSP. A generator that predicts
sub-bands: Yang et al. 2020, Multi-band MelGAN, arXiv:2005.05106. The generator: Kong et al. 2020, HiFi-GAN,
arXiv:2010.05646. Initialisation: He et al. 2015, Delving Deep into Rectifiers, arXiv:1502.01852.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from sovits_core.models.waveform import LAST_SLOPE, SLOPE, Stage, WaveformGenerator
from tiny_base.errors import InvalidInput

SUBBANDS = 128  # samples per step: 250 steps a second at 32 kHz
SPARE_DEVIATION = 0.02
RATES = (1, 5, 8, 4, 4)
"""Upsampling rates that `write_inverse_mdct` is made for: latent frames, steps of the sub-bands, then samples."""
LATE_STEP = RATES[-2] * RATES[-1]  # samples per step in the channels of the first late stage
MIN_CHANNELS = 256
"""Of the generator: after three halvings, LATE_STEP samples must pass as pairs."""


@lru_cache(maxsize=1)
def basis() -> Tensor:
    """One window per sub-band, [SUBBANDS, 2 SUBBANDS]; neighbours overlap by half and their aliasing cancels."""
    sample = torch.arange(2 * SUBBANDS, dtype=torch.float64)
    band = torch.arange(SUBBANDS, dtype=torch.float64)[:, None]
    window = (math.pi * (sample + 0.5) / (2 * SUBBANDS)).sin()
    cosines = (math.pi / SUBBANDS * (sample + 0.5 + SUBBANDS / 2) * (band + 0.5)).cos()
    return (math.sqrt(2 / SUBBANDS) * window * cosines).float()


def mdct(wav: Tensor) -> Tensor:
    """Waveform (batch, samples), whole steps -> (batch, SUBBANDS, steps)."""
    return functional.conv1d(wav[:, None], basis()[:, None].to(wav), stride=SUBBANDS, padding=SUBBANDS // 2)


def inverse_mdct(bands: Tensor) -> Tensor:
    """The inverse of `mdct`, but for half a step at both ends."""
    return functional.conv_transpose1d(bands, basis()[:, None].to(bands), stride=SUBBANDS, padding=SUBBANDS // 2)[:, 0]


def predict_subbands(generator: WaveformGenerator, readout: nn.Conv1d, z: Tensor, speaker_embedding: Tensor) -> Tensor:
    """Sub-bands (batch, SUBBANDS, steps) that the early stages predict from latents (batch, channels, frames)."""
    assert generator.condition is not None  # noqa: S101 -- the synthesizer's has one
    x = generator.input(z) + generator.condition(speaker_embedding)
    for stage in cast("list[Stage]", list(generator.stages)[:2]):
        x = stage(functional.leaky_relu(x, SLOPE))
    bands: Tensor = readout(functional.leaky_relu(x, SLOPE))
    return bands


@torch.no_grad()
def write_inverse_mdct(generator: WaveformGenerator, readout: nn.Conv1d) -> None:
    """Set the late stages to the exact inverse transform of the sub-bands of `predict_subbands`.

    A leaky rectifier passes a number as a pair, itself and its negative. Channels beyond those pairs start small and
    with zero weights on their outputs, free to learn.

    Raises:
        InvalidInput: the generator has other upsampling rates.
    """
    stages = cast("list[Stage]", list(generator.stages))
    rates = tuple(stage.upsample.stride[0] for stage in stages)
    if rates != RATES:
        raise InvalidInput(f"s2.upsampleRates={list(rates)} must be {list(RATES)}: the late stages need that")
    for stage in stages[2:]:
        nn.init.normal_(stage.upsample.weight, std=SPARE_DEVIATION)
        nn.init.zeros_(cast("Tensor", stage.upsample.bias))
    # Sub-bands to steps of LATE_STEP samples each.
    first = stages[2].upsample
    windows = _windows().to(readout.weight)
    taps = torch.einsum("bi,bts->ist", readout.weight[:, :, 0], windows)  # (inputs, sample, tap)
    first.weight[:, 0 : 2 * LATE_STEP : 2], first.weight[:, 1 : 2 * LATE_STEP : 2] = taps, -taps
    _unpack(stages[3].upsample, samples=LATE_STEP)
    _unpack(stages[4].upsample, samples=LATE_STEP // 4)
    generator.output.weight.zero_()
    generator.output.weight[0, 0, 3], generator.output.weight[0, 1, 3] = 1 / (1 + LAST_SLOPE), -1 / (1 + LAST_SLOPE)


@torch.no_grad()
def read_inverse_mdct(generator: WaveformGenerator, readout: nn.Conv1d) -> None:
    """Invert `write_inverse_mdct`: set the readout, by least squares where training has changed the late stages."""
    first = cast("list[Stage]", list(generator.stages))[2].upsample
    taps = (
        first.weight[:, 0 : 2 * LATE_STEP : 2] - first.weight[:, 1 : 2 * LATE_STEP : 2]
    ) / 2  # (inputs, sample, tap)
    windows = _windows().to(readout.weight)
    # Windows are orthonormal.
    readout.weight.copy_(torch.einsum("ist,bts->bi", taps, windows)[:, :, None])


def _windows() -> Tensor:
    """Each sub-band's window in steps, [SUBBANDS, tap, LATE_STEP]."""
    return basis().reshape(SUBBANDS, -1, LATE_STEP)


def _unpack(upsample: nn.ConvTranspose1d, samples: int) -> None:
    """Set a stage to unpack steps of so many samples, as pairs, into four steps of a quarter of them each."""
    rest = samples // 4
    margin = int(upsample.padding[0])
    upsample.weight[2 * samples :] = 0  # inputs beyond the pairs
    upsample.weight[:, : 2 * rest] = 0
    for sample in range(samples):
        tap, position = margin + sample // rest, sample % rest
        for sign, channel in ((1, 2 * sample), (-1, 2 * sample + 1)):
            upsample.weight[channel, 2 * position, tap] = sign / (1 + SLOPE)
            upsample.weight[channel, 2 * position + 1, tap] = -sign / (1 + SLOPE)


@torch.no_grad()
def initialise(generator: WaveformGenerator) -> None:
    """Initialise weights to preserve the signal's variance, and residual blocks to the identity.

    The official deviation of 0.01 attenuates the signal by a factor of a thousand, which a short training does not
    make up for. Weight norm must be folded.
    """
    for module in generator.modules():
        if isinstance(module, nn.Conv1d):
            nn.init.kaiming_normal_(module.weight, a=SLOPE)
        elif isinstance(module, nn.ConvTranspose1d):
            fan_in = module.in_channels * module.kernel_size[0] / module.stride[0]
            nn.init.normal_(module.weight, std=math.sqrt(2 / fan_in))
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    assert generator.condition is not None  # noqa: S101 -- the synthesizer's has one
    nn.init.zeros_(generator.condition.weight)
    for stage in cast("list[Stage]", list(generator.stages)):
        for block in stage.blocks:
            for convolution in block.plain:  # type: ignore[union-attr]
                nn.init.zeros_(convolution.weight)
