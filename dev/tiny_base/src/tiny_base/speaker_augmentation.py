"""Speaker augmentation: VTLP with a shift of pitch, and a random EQ, in reference spectrum and target latents alike.

The corpus has few speakers and minutes of each, so that a prior trained on them overfits to them and generalises badly
to others. With random speakers in every batch, it must take their traits from the reference.

Source: Jaitly & Hinton 2013, Vocal Tract Length Perturbation (VTLP) Improves Speech Recognition, ICML Workshop on Deep
Learning for Audio, Speech and Language (no arXiv number).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from tiny_base.acoustics import (
    BANDS,
    HIGHEST_CENTRE,
    LOWEST_CENTRE,
    PITCH,
    PITCH_DEVIATION,
    POWER_FLOOR,
    SAMPLE_RATE,
    band_centres,
    envelope_scale,
)

AUGMENTATION_PROB = 0.75  # of a row
WARP_DEVIATION, MAX_LOG_WARP = 0.07, 0.18  # log frequency-warp factor: the vocal tract's length, and pitch with it
EQ_POINTS = 7  # evenly spaced on the mel scale, with linear interpolation between them
EQ_DEVIATION = 0.4  # of log power, 1.7 dB: differences of voices and microphones beyond the vocal tract's length


@dataclass(frozen=True)
class SpeakerAugmentation:
    """A frequency warp and an EQ for each row of a batch."""

    log_warp: Tensor  # (batch, 1), log factor on every frequency
    eq: Tensor  # (batch, EQ_POINTS), log power

    @classmethod
    def sample(cls, count: int, device: torch.device) -> SpeakerAugmentation:
        """Draw for so many rows, with torch's global generator."""
        log_warp = (WARP_DEVIATION * torch.randn(count, 1)).clamp(-MAX_LOG_WARP, MAX_LOG_WARP)
        eq = EQ_DEVIATION * torch.randn(count, EQ_POINTS)
        applied = torch.rand(count, 1) < AUGMENTATION_PROB
        return cls((log_warp * applied).to(device), (eq * applied).to(device))

    def apply_to_spectra(self, spec: Tensor) -> Tensor:
        """Augment linear magnitudes (batch, bins, frames)."""
        bins = spec.shape[1]
        hertz = torch.arange(bins, device=spec.device) * (SAMPLE_RATE / 2 / (bins - 1))
        source = torch.arange(bins, device=spec.device) * (-self.log_warp).exp()  # (batch, bins)
        gain = (0.5 * _interpolate(self.eq[..., None], _mel_position(hertz)[None] * (EQ_POINTS - 1))).exp()
        return _interpolate(spec, source) * gain

    def apply_to_latents(self, latents: Tensor) -> Tensor:
        """Augment envelope and pitch of latents (batch, channels, frames)."""
        mean, deviation = (row.to(latents)[:, None] for row in envelope_scale())  # (BANDS, 1)
        centres = band_centres().to(latents)
        power = latents[:, :BANDS] * deviation + mean
        source = _mel_position(centres * (-self.log_warp).exp()) * (BANDS - 1)  # (batch, BANDS)
        eq = _interpolate(self.eq[..., None], _mel_position(centres)[None] * (EQ_POINTS - 1))
        power = (_interpolate(power, source) + eq).clamp_min(math.log(POWER_FLOOR))
        pitch = latents[:, PITCH : PITCH + 1] + self.log_warp[..., None] / PITCH_DEVIATION
        return torch.cat([(power - mean) / deviation, latents[:, BANDS:PITCH], pitch, latents[:, PITCH + 1 :]], dim=1)


def _mel_position(hertz: Tensor) -> Tensor:
    """Position of frequencies between the lowest and the highest band, 0 to 1, on the mel scale."""
    low, high = (math.log1p(edge / 700) for edge in (LOWEST_CENTRE, HIGHEST_CENTRE))
    return (((hertz / 700).log1p() - low) / (high - low)).clamp(0, 1)


def _interpolate(rows: Tensor, positions: Tensor) -> Tensor:
    """Interpolate rows (batch, size, frames) at fractional indices (batch or 1, count): (batch, count, frames)."""
    positions = positions.expand(len(rows), -1).clamp(0, rows.shape[1] - 1)
    low = positions.floor().long().clamp(max=rows.shape[1] - 2)
    weight = (positions - low)[..., None]

    def at(index: Tensor) -> Tensor:
        return rows.gather(1, index[..., None].expand(-1, -1, rows.shape[2]))

    return torch.lerp(at(low), at(low + 1), weight)
