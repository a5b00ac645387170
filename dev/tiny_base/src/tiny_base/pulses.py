"""An analytic vocoder, the waveform generator's teacher: latent frames to a waveform in which every phase is decided.

A generator of this family is blind to where a frame stands, so steady frames can only become a sound that repeats every
20 ms. Voices here therefore have a whole number of pulses per frame, a pitch in steps of 50 Hz: a robot's melody, but
one waveform that is right, which a small generator learns by regression in minutes.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from tiny_base.acoustics import (
    BANDS,
    CHANCE,
    CHANCES,
    HOP,
    SAMPLE_RATE,
    WINDOW,
    band_centres,
    envelope_of,
    pitch_of,
)

PARTIALS = HOP // 2  # multiples of 50 Hz up to 16 kHz
FEWEST_PULSES, MOST_PULSES = 2, 7
NOISY_FROM, NOISY_AT = 3000.0, 7000.0  # Hz between which a voiced frame goes from pulses to noise
NOISE_SHARE = 0.7  # of a voiced frame's amplitude above that
HEADROOM = 0.6  # of the recordings' level: the generator's tanh would bend peaks otherwise
LEVEL = HEADROOM * HOP * ((SAMPLE_RATE / HOP) / (SAMPLE_RATE / WINDOW) / HOP) ** 0.5
CHANCE_DEVIATION = 0.5  # of the latents' chance channels: the official noise scale


@lru_cache(maxsize=1)
def _interpolation() -> Tensor:
    """Weights [BANDS, PARTIALS] that read an envelope at each partial."""
    hertz = torch.arange(PARTIALS) * (SAMPLE_RATE / HOP)
    centres = band_centres()
    above = torch.searchsorted(centres, hertz).clamp(1, BANDS - 1)
    share = ((hertz - centres[above - 1]) / (centres[above] - centres[above - 1])).clamp(0, 1)
    weights = torch.zeros(BANDS, PARTIALS)
    weights[above - 1, torch.arange(PARTIALS)] = 1 - share
    weights[above, torch.arange(PARTIALS)] += share
    return weights


@lru_cache(maxsize=1)
def _phases() -> tuple[Tensor, Tensor]:
    """Complex units of the pulses [PARTIALS], spread like a vocal tract's, and of noises [CHANCES, PARTIALS]."""
    partial = torch.arange(PARTIALS)
    pulses = torch.polar(torch.ones(PARTIALS), -0.6 * torch.pi * partial.square() / PARTIALS)
    generator = torch.Generator().manual_seed(50)
    angles = 2 * torch.pi * torch.rand(CHANCES, PARTIALS, generator=generator)
    return pulses, torch.polar(torch.ones(CHANCES, PARTIALS), angles)


@lru_cache(maxsize=1)
def _noise_share() -> Tensor:
    hertz = torch.arange(PARTIALS) * (SAMPLE_RATE / HOP)
    return NOISE_SHARE * ((hertz - NOISY_FROM) / (NOISY_AT - NOISY_FROM)).clamp(0, 1)


def pulse_counts(voiced: Tensor, hertz: Tensor) -> Tensor:
    """Pulses per frame, int64 like `hertz`; none where unvoiced."""
    counts = (hertz * HOP / SAMPLE_RATE).round().clamp(FEWEST_PULSES, MOST_PULSES).long()
    return torch.where(voiced, counts, 0)


@torch.no_grad()
def sound(latents: Tensor) -> Tensor:
    """Waveform (batch, frames * HOP) of latents (batch, LATENT, frames); one frame fades into the next."""
    frames = latents.shape[2]
    amplitude = (0.5 * (envelope_of(latents) @ _interpolation().to(latents))).exp()  # (batch, frames, PARTIALS)
    counts = pulse_counts(*pitch_of(latents))[..., None]  # (batch, frames, 1)
    partial = torch.arange(PARTIALS, device=latents.device)
    on = (partial % counts.clamp(min=1) == 0) & (counts > 0) & (partial > 0)
    share = torch.where(counts > 0, _noise_share().to(latents), 1.0)
    pulses, patterns = (phases.to(latents.device) for phases in _phases())
    chance = latents[:, CHANCE:].transpose(1, 2) / (CHANCE_DEVIATION * CHANCES**0.5)  # (batch, frames, CHANCES)
    noise = torch.complex(chance, torch.zeros_like(chance)) @ patterns
    spectrum = amplitude * (on * counts.sqrt() * (1 - share.square()).sqrt() * pulses + share * noise)
    period = torch.fft.irfft(functional.pad(spectrum, (0, 1)), HOP)  # (batch, frames, HOP)
    # Power per bin of 31.25 Hz becomes power per partial, every 50 Hz; the transform divides by its length.
    period = period * LEVEL
    fade = torch.hann_window(2 * HOP, device=latents.device)
    # The middle of frame t is sample HOP t + HOP / 2, so that its two periods begin half a frame before it.
    pieces = (torch.cat([period, period], dim=2) * fade).transpose(1, 2)  # (batch, 2 HOP, frames)
    whole = functional.fold(pieces, (1, (frames + 1) * HOP), (1, 2 * HOP), stride=(1, HOP))[:, 0, 0]
    return whole[:, HOP // 2 : HOP // 2 + frames * HOP]
