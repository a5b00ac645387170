"""Acoustic augmentation of the encoder's input: reverberation (RIR), EQ, additive noise.

Synthetic speech is dry and clean, and the few recordings cover few rooms and microphones; without augmentation the
encoder confuses reverberation with phones.

Sources: augmentation with simulated impulse responses and additive noise: Ko et al. 2017, A Study on Data Augmentation
of Reverberant Speech for Robust Speech Recognition, ICASSP (no arXiv number). Impulse responses as exponentially
decaying noise: Polack 1988, La transmission de l'énergie sonore dans les salles, Université du Maine.
"""

from __future__ import annotations

import math
import random

import torch
from torch import Tensor

from tiny_base.data import ENCODER_RATE

REVERBERATION_PROB = 0.4  # of a crop
RT60_SECONDS = (0.1, 0.6)  # until the reverberation has decayed by 60 dB
DIRECT_TO_REVERBERANT = (0.0, 15.0)  # dB
EQ_BANDS = 9  # an octave each, up to half the rate
EQ_DEVIATION = 3.5  # dB
NOISE_PROB = 0.75  # of a crop
SIGNAL_TO_NOISE = (5.0, 45.0)  # dB
NOISE_EXPONENT = (0.0, 2.0)  # power falls with the frequency to this power: 0 is white, 2 is brown
NOISE_CORNER = 50.0  # Hz below which the noise's spectrum is flat


def augment(wav: Tensor, rng: random.Random) -> Tensor:
    """Apply random reverberation, EQ and noise to speech [samples] at 16 kHz; the length stays."""
    size = len(wav)
    padded = 1 << (size + round(RT60_SECONDS[1] * ENCODER_RATE)).bit_length()  # no circular wrap of the reverberation
    spectrum = torch.fft.rfft(wav, padded)
    if rng.random() < REVERBERATION_PROB:
        spectrum = spectrum * torch.fft.rfft(_impulse_response(rng), padded)
    spectrum = spectrum * _equalizer(spectrum.shape[0], rng)
    augmented: Tensor = torch.fft.irfft(spectrum, padded)[:size]
    if rng.random() < NOISE_PROB:
        noise = _noise(padded, rng)[:size]
        level = augmented.square().mean().sqrt() * 10 ** (-rng.uniform(*SIGNAL_TO_NOISE) / 20)
        augmented = augmented + noise * (level / noise.square().mean().sqrt())
    return augmented


def _impulse_response(rng: random.Random) -> Tensor:
    """A room impulse response [samples]: an impulse, then exponentially decaying noise."""
    seconds = rng.uniform(*RT60_SECONDS)
    time = torch.arange(round(seconds * ENCODER_RATE)) / ENCODER_RATE
    response = torch.randn(len(time)) * torch.exp(-3 * math.log(10) * time / seconds)
    response *= 10 ** (-rng.uniform(*DIRECT_TO_REVERBERANT) / 20) / response.square().sum().sqrt()
    response[0] = 1
    return response


def _equalizer(bins: int, rng: random.Random) -> Tensor:
    """Gains [bins] that change smoothly from octave to octave."""
    decibels = torch.tensor([rng.gauss(0, EQ_DEVIATION) for _ in range(EQ_BANDS)])
    octaves = (EQ_BANDS - 1 + torch.linspace(0, 1, bins).clamp_min(1e-6).log2()).clamp_min(0)
    below = octaves.long().clamp(max=EQ_BANDS - 2)
    return 10 ** (torch.lerp(decibels[below], decibels[below + 1], octaves - below) / 20)


def _noise(size: int, rng: random.Random) -> Tensor:
    spectrum = torch.fft.rfft(torch.randn(size))
    hertz = torch.arange(len(spectrum)) * (ENCODER_RATE / size)
    slope = hertz.clamp_min(NOISE_CORNER) ** (-rng.uniform(*NOISE_EXPONENT) / 2)
    noise: Tensor = torch.fft.irfft(spectrum * slope, size)
    return noise
