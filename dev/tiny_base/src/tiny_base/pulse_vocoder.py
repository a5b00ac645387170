"""The pulse-plus-noise vocoder that the waveform generator is trained to imitate: latents to a waveform.

A generator of this family has no position along a sentence, so constant latents become a waveform of period 20 ms.
Voices here therefore have a whole number of pulses per frame, that is a pitch in steps of 50 Hz: robotic, but with
every phase determined, so that a small generator learns the waveform by regression in minutes.

Sources: excitation by pulses and noise: Dudley 1939, Remaking Speech, JASA 11; mixed by frequency: Griffin & Lim 1988,
Multiband Excitation Vocoder, IEEE Transactions ASSP 36; phases spread over the period: Kawahara et al. 1999,
Restructuring speech representations (STRAIGHT), Speech Communication 27.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from tiny_base.acoustics import (
    BANDS,
    HOP,
    NOISE_CHANNELS,
    SAMPLE_RATE,
    SUPERVISED_CHANNELS,
    WINDOW,
    band_centres,
    envelope_of,
    pitch_of,
)

PARTIALS = HOP // 2  # multiples of 50 Hz up to 16 kHz
MIN_PULSES, MAX_PULSES = 2, 7
NOISE_FROM, NOISE_FULL = 3000.0, 7000.0  # Hz between which a voiced frame's excitation goes from pulses to noise
NOISE_FRACTION = 0.7  # of a voiced frame's amplitude above NOISE_FULL
HEADROOM = 0.6  # on the recordings' level, against clipping in the generator's tanh
LEVEL = HEADROOM * HOP * ((SAMPLE_RATE / HOP) / (SAMPLE_RATE / WINDOW) / HOP) ** 0.5
NOISE_DEVIATION = 0.5  # of the latents' noise channels: the official noise scale


@lru_cache(maxsize=1)
def _interpolation() -> Tensor:
    """Weights [BANDS, PARTIALS] of the linear interpolation of an envelope at each partial."""
    hertz = torch.arange(PARTIALS) * (SAMPLE_RATE / HOP)
    centres = band_centres()
    above = torch.searchsorted(centres, hertz).clamp(1, BANDS - 1)
    fraction = ((hertz - centres[above - 1]) / (centres[above] - centres[above - 1])).clamp(0, 1)
    weights = torch.zeros(BANDS, PARTIALS)
    weights[above - 1, torch.arange(PARTIALS)] = 1 - fraction
    weights[above, torch.arange(PARTIALS)] += fraction
    return weights


@lru_cache(maxsize=1)
def _phases() -> tuple[Tensor, Tensor]:
    """Unit phasors of pulses [PARTIALS], dispersed like a vocal tract's, and of noises [NOISE_CHANNELS, PARTIALS]."""
    partial = torch.arange(PARTIALS)
    pulses = torch.polar(torch.ones(PARTIALS), -0.6 * torch.pi * partial.square() / PARTIALS)
    generator = torch.Generator().manual_seed(50)
    angles = 2 * torch.pi * torch.rand(NOISE_CHANNELS, PARTIALS, generator=generator)
    return pulses, torch.polar(torch.ones(NOISE_CHANNELS, PARTIALS), angles)


@lru_cache(maxsize=1)
def _noise_fraction() -> Tensor:
    hertz = torch.arange(PARTIALS) * (SAMPLE_RATE / HOP)
    return NOISE_FRACTION * ((hertz - NOISE_FROM) / (NOISE_FULL - NOISE_FROM)).clamp(0, 1)


def pulse_counts(voiced: Tensor, hertz: Tensor) -> Tensor:
    """Pulses per frame, int64 like `hertz`; 0 where unvoiced."""
    counts = (hertz * HOP / SAMPLE_RATE).round().clamp(MIN_PULSES, MAX_PULSES).long()
    return torch.where(voiced, counts, 0)


@torch.no_grad()
def vocode(latents: Tensor) -> Tensor:
    """Waveform (batch, frames * HOP) of latents (batch, LATENT, frames), by overlap-add of frames."""
    frames = latents.shape[2]
    amplitude = (0.5 * (envelope_of(latents) @ _interpolation().to(latents))).exp()  # (batch, frames, PARTIALS)
    counts = pulse_counts(*pitch_of(latents))[..., None]  # (batch, frames, 1)
    partial = torch.arange(PARTIALS, device=latents.device)
    on = (partial % counts.clamp(min=1) == 0) & (counts > 0) & (partial > 0)
    fraction = torch.where(counts > 0, _noise_fraction().to(latents), 1.0)
    pulses, noises = (phases.to(latents.device) for phases in _phases())
    # shape of the excitation: batch, frames, NOISE_CHANNELS
    excitation = latents[:, SUPERVISED_CHANNELS:].transpose(1, 2) / (NOISE_DEVIATION * NOISE_CHANNELS**0.5)
    noise = torch.complex(excitation, torch.zeros_like(excitation)) @ noises
    spectrum = amplitude * (on * counts.sqrt() * (1 - fraction.square()).sqrt() * pulses + fraction * noise)
    period = torch.fft.irfft(functional.pad(spectrum, (0, 1)), HOP)  # (batch, frames, HOP)
    # Power per bin of 31.25 Hz becomes power per partial, every 50 Hz; the transform divides by its length.
    period = period * LEVEL
    fade = torch.hann_window(2 * HOP, device=latents.device)
    # The centre of frame t is sample HOP t + HOP / 2, so that its two periods begin half a frame before it.
    overlapping = (torch.cat([period, period], dim=2) * fade).transpose(1, 2)  # (batch, 2 HOP, frames)
    whole = functional.fold(overlapping, (1, (frames + 1) * HOP), (1, 2 * HOP), stride=(1, HOP))[:, 0, 0]
    return whole[:, HOP // 2 : HOP // 2 + frames * HOP]
