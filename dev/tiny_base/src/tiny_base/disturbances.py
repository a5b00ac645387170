"""What a recording goes through before anybody hears it: a room, a microphone, and noise.

Synthetic speech knows none of them, and few recordings know few. An encoder that was taught with neither takes a room
for phones.
"""

from __future__ import annotations

import math
import random

import torch
from torch import Tensor

from tiny_base.data import ENCODER_RATE

IN_ROOMS = 0.4  # of the pieces
REVERBERATION = (0.1, 0.6)  # s until an echo has fallen by 60 dB
DIRECT = (0.0, 15.0)  # dB by which the direct sound exceeds all echoes
EQUALIZER_BANDS = 9  # an octave each, up to half the rate
EQUALIZER_DEVIATION = 3.5  # dB
NOISY = 0.75  # of the pieces
SIGNAL_TO_NOISE = (5.0, 45.0)  # dB
COLOUR = (0.0, 2.0)  # noise falls with the frequency to this power: 0 is white, 2 is brown
FALLING_FROM = 50.0  # Hz below which it is level


def disturbed(wav: Tensor, rng: random.Random) -> Tensor:
    """Put speech [samples] at 16 kHz into a random room, before a random microphone, under random noise."""
    size = len(wav)
    padded = (
        1 << (size + round(REVERBERATION[1] * ENCODER_RATE)).bit_length()
    )  # echoes must not come round to the start
    spectrum = torch.fft.rfft(wav, padded)
    if rng.random() < IN_ROOMS:
        spectrum = spectrum * torch.fft.rfft(_response(rng), padded)
    spectrum = spectrum * _microphone(spectrum.shape[0], rng)
    heard: Tensor = torch.fft.irfft(spectrum, padded)[:size]
    if rng.random() < NOISY:
        noise = _noise(padded, rng)[:size]
        level = heard.square().mean().sqrt() * 10 ** (-rng.uniform(*SIGNAL_TO_NOISE) / 20)
        heard = heard + noise * (level / noise.square().mean().sqrt())
    return heard


def _response(rng: random.Random) -> Tensor:
    """The room's answer to a click: the click, then noise that dies away."""
    seconds = rng.uniform(*REVERBERATION)
    time = torch.arange(round(seconds * ENCODER_RATE)) / ENCODER_RATE
    echoes = torch.randn(len(time)) * torch.exp(-3 * math.log(10) * time / seconds)
    echoes *= 10 ** (-rng.uniform(*DIRECT) / 20) / echoes.square().sum().sqrt()
    echoes[0] = 1
    return echoes


def _microphone(bins: int, rng: random.Random) -> Tensor:
    """Gains [bins] that change smoothly from octave to octave."""
    decibels = torch.tensor([rng.gauss(0, EQUALIZER_DEVIATION) for _ in range(EQUALIZER_BANDS)])
    octaves = (EQUALIZER_BANDS - 1 + torch.linspace(0, 1, bins).clamp_min(1e-6).log2()).clamp_min(0)
    below = octaves.long().clamp(max=EQUALIZER_BANDS - 2)
    return 10 ** (torch.lerp(decibels[below], decibels[below + 1], octaves - below) / 20)


def _noise(size: int, rng: random.Random) -> Tensor:
    spectrum = torch.fft.rfft(torch.randn(size))
    hertz = torch.arange(len(spectrum)) * (ENCODER_RATE / size)
    falling = hertz.clamp_min(FALLING_FROM) ** (-rng.uniform(*COLOUR) / 2)
    noise: Tensor = torch.fft.irfft(spectrum * falling, size)
    return noise
