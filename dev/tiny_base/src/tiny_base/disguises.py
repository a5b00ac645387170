"""Speakers who never lived: voices made larger or smaller and coloured, in what is heard of them and in what they say.

A corpus has few readers and minutes of each. A prior that always meets the same ones learns their clips by heart, and
speaks badly for anybody else. Where every batch brings other speakers, it has to hear in the reference how they sound.
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
    QUIETEST,
    SAMPLE_RATE,
    band_centres,
    envelope_scale,
)

DISGUISED = 0.75  # of the rows; the others are themselves
SIZE_DEVIATION, LARGEST_SIZE = 0.07, 0.18  # of log frequency: a vocal tract's length, and the pitch with it
COLOURS = 7  # places, evenly spaced on the mel scale, between which a colour is a line
COLOUR_DEVIATION = 0.4  # of log power, 1.7 dB: how voices and microphones differ beyond their size


@dataclass(frozen=True)
class Disguise:
    """One speaker's disguise per row of a batch."""

    size: Tensor  # (batch, 1), log factor on every frequency
    colour: Tensor  # (batch, COLOURS), log power

    @classmethod
    def drawn(cls, count: int, device: torch.device) -> Disguise:
        """Draw for so many rows, with torch's own randomness."""
        size = (SIZE_DEVIATION * torch.randn(count, 1)).clamp(-LARGEST_SIZE, LARGEST_SIZE)
        colour = COLOUR_DEVIATION * torch.randn(count, COLOURS)
        worn = torch.rand(count, 1) < DISGUISED
        return cls((size * worn).to(device), (colour * worn).to(device))

    def of_spectra(self, spec: Tensor) -> Tensor:
        """Disguise linear magnitudes (batch, bins, frames)."""
        bins = spec.shape[1]
        hertz = torch.arange(bins, device=spec.device) * (SAMPLE_RATE / 2 / (bins - 1))
        source = torch.arange(bins, device=spec.device) * (-self.size).exp()  # (batch, bins)
        gain = (0.5 * _read(self.colour[..., None], _mel_share(hertz)[None] * (COLOURS - 1))).exp()
        return _read(spec, source) * gain

    def of_frames(self, latents: Tensor) -> Tensor:
        """Disguise latents (batch, channels, frames): their envelopes and their pitch."""
        mean, deviation = (row.to(latents)[:, None] for row in envelope_scale())  # (BANDS, 1)
        centres = band_centres().to(latents)
        power = latents[:, :BANDS] * deviation + mean
        source = _mel_share(centres * (-self.size).exp()) * (BANDS - 1)  # (batch, BANDS)
        colour = _read(self.colour[..., None], _mel_share(centres)[None] * (COLOURS - 1))
        power = (_read(power, source) + colour).clamp_min(math.log(QUIETEST))
        pitch = latents[:, PITCH : PITCH + 1] + self.size[..., None] / PITCH_DEVIATION
        return torch.cat([(power - mean) / deviation, latents[:, BANDS:PITCH], pitch, latents[:, PITCH + 1 :]], dim=1)


def _mel_share(hertz: Tensor) -> Tensor:
    """Where frequencies lie between the lowest and the highest band, 0 to 1, on the mel scale."""
    low, high = (math.log1p(edge / 700) for edge in (LOWEST_CENTRE, HIGHEST_CENTRE))
    return (((hertz / 700).log1p() - low) / (high - low)).clamp(0, 1)


def _read(rows: Tensor, places: Tensor) -> Tensor:
    """Read rows (batch, size, frames) at places (batch or 1, count) between their indices: (batch, count, frames)."""
    places = places.expand(len(rows), -1).clamp(0, rows.shape[1] - 1)
    low = places.floor().long().clamp(max=rows.shape[1] - 2)
    share = (places - low)[..., None]

    def at(index: Tensor) -> Tensor:
        return rows.gather(1, index[..., None].expand(-1, -1, rows.shape[2]))

    return torch.lerp(at(low), at(low + 1), share)
