"""What a latent frame of the tiny base means: a spectral envelope, voicing, pitch, and room for chance.

Left to themselves, latent frames take longer to become useful than a CPU has. Prescribed ones let the posterior, the
prior and the waveform generator learn apart from one another, each by plain regression.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

HOP = 640  # samples at 32 kHz in a frame of 20 ms
SAMPLE_RATE = 32_000
WINDOW = 1024  # samples around the middle of a frame: 32 ms, two and a half periods of a low voice
BINS = WINDOW // 2 + 1
BANDS = 58
LOWEST_CENTRE, HIGHEST_CENTRE = 60.0, 15_000.0  # Hz
UNVOICED_WIDTH = 150.0  # Hz over which the spectrum of a frame without pitch is smoothed
QUIETEST = 7e-7  # power per bin below which nothing is heard

PITCH_RATE = 16_000
PITCH_WINDOW = 1024
FASTEST, SLOWEST = 38, 228  # samples at 16 kHz in one period of a voice: 421 to 70 Hz
VOICED_STRENGTH = 0.5
NEAREST_OCTAVES = 0.75  # pitch stays this near to the clip's median
MIDDLE_PITCH, PITCH_DEVIATION = math.log(150.0), 0.35  # of log Hz, over men and women

VOICING, PITCH, CHANCE = BANDS, BANDS + 1, BANDS + 2
"""Channels after the envelope's: voiced or not (+1, -1), log pitch around 150 Hz, then pure chance."""
LATENT = 64
CHANCES = LATENT - CHANCE
VOICE_BANDS, AUDIBLE = 30, -0.8  # the bands up to 3 kHz, and their mean above which a frame is speech


@dataclass(frozen=True)
class Acoustics:
    """One utterance as frames of 20 ms, whose middles lie at sample 640 t + 320."""

    envelope: Tensor  # float32 [frames, BANDS], log power per bin
    voiced: Tensor  # bool [frames]
    pitch: Tensor  # float32 [frames], log Hz; drawn through where there is none

    def latents(self) -> Tensor:
        """The frames' meaning as the networks carry it: [LATENT - CHANCES, frames], about unit size."""
        mean, deviation = envelope_scale()
        return torch.cat(
            [
                ((self.envelope - mean) / deviation).T,
                (2.0 * self.voiced - 1)[None],
                (self.pitch - MIDDLE_PITCH)[None] / PITCH_DEVIATION,
            ]
        )


def envelope_of(latents: Tensor) -> Tensor:
    """Log power per bin (batch, frames, BANDS) of latents (batch, channels, frames)."""
    mean, deviation = envelope_scale()
    return latents[:, :BANDS].transpose(1, 2) * deviation.to(latents) + mean.to(latents)


def pitch_of(latents: Tensor) -> tuple[Tensor, Tensor]:
    """Whether voiced, and Hz, each (batch, frames), of latents (batch, channels, frames)."""
    return latents[:, VOICING] > 0, (latents[:, PITCH] * PITCH_DEVIATION + MIDDLE_PITCH).exp()


def audible(latents: Tensor) -> Tensor:
    """Whether frames are speech, bool (batch, frames), of latents (batch, channels, frames)."""
    return latents[:, :VOICE_BANDS].mean(1) > AUDIBLE


@lru_cache(maxsize=1)
def envelope_scale() -> tuple[Tensor, Tensor]:
    """Mean and deviation [BANDS] of the envelope in the corpus, at the corpus' loudness: rounded, and fixed for good.

    Speech falls by about 5 dB an octave above 300 Hz.
    """
    octaves = (band_centres() / 300).log2().clamp(min=0)
    return -4.06 - 1.2 * octaves, torch.full((BANDS,), 3.5)


@lru_cache(maxsize=1)
def band_centres() -> Tensor:
    """Hz [BANDS], evenly spaced on the mel scale."""
    low, high = (2595 * math.log10(1 + hertz / 700) for hertz in (LOWEST_CENTRE, HIGHEST_CENTRE))
    return 700 * (10 ** (torch.linspace(low, high, BANDS) / 2595) - 1)


@lru_cache(maxsize=1)
def band_filters() -> Tensor:
    """Triangles between neighbouring centres that average the bins of a spectrum: [BANDS, BINS]."""
    centres = band_centres()
    edges = torch.cat([2 * centres[:1] - centres[1:2], centres, 2 * centres[-1:] - centres[-2:-1]])
    hertz = torch.linspace(0, SAMPLE_RATE / 2, BINS)
    rising = (hertz - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - hertz) / (edges[2:] - edges[1:-1])[:, None]
    filters = torch.minimum(rising, falling).clamp(min=0)
    # a band narrower than the bins takes its nearest one
    nearest = functional.one_hot((centres / (SAMPLE_RATE / 2) * (BINS - 1)).round().long(), BINS)
    filters = torch.where(filters.sum(1, keepdim=True) > 0, filters, nearest.float())
    return filters / filters.sum(1, keepdim=True)


def analyse(wav: Tensor, wav16: Tensor) -> Acoustics:
    """Measure an utterance.

    Args:
        wav: float32 [samples] at 32 kHz.
        wav16: the same at 16 kHz.
    """
    frames = len(wav) // HOP
    voiced, pitch = _pitch(wav16, frames)
    padded = functional.pad(wav, (WINDOW // 2 - HOP // 2, WINDOW))
    blocks = padded.unfold(0, WINDOW, HOP)[:frames] * torch.hann_window(WINDOW)
    power = torch.fft.rfft(blocks).abs().square() / (0.375 * WINDOW)  # [frames, BINS]
    width = torch.where(voiced, pitch.exp(), UNVOICED_WIDTH) / (SAMPLE_RATE / WINDOW)  # bins
    smooth = _smoothed(power, width)
    return Acoustics((smooth @ band_filters().T + QUIETEST).log(), voiced, pitch)


def _smoothed(power: Tensor, width: Tensor) -> Tensor:
    """Average power [frames, BINS] over `width` bins [frames], so that single harmonics do not show."""
    below = functional.pad(power.cumsum(1), (1, 0))  # [frames, BINS + 1]: everything under the lower edge of a bin

    def up_to(edge: Tensor) -> Tensor:
        edge = edge.clamp(0, BINS)
        low = edge.floor().long().clamp(max=BINS - 1)
        return torch.lerp(below.gather(1, low), below.gather(1, low + 1), edge - low)

    middle = torch.arange(BINS) + 0.5
    high, low = middle + width[:, None] / 2, middle - width[:, None] / 2
    return (up_to(high) - up_to(low)) / (high.clamp(max=BINS) - low.clamp(min=0))


def _pitch(wav: Tensor, frames: int) -> tuple[Tensor, Tensor]:
    """Voiced or not, and log pitch drawn through what is not, each [frames], from autocorrelation at 16 kHz."""
    size, half = PITCH_WINDOW, PITCH_WINDOW // 2
    padded = functional.pad(wav, (half - HOP // 4, size))
    blocks = padded.unfold(0, size, HOP // 2)[:frames] * torch.hann_window(size)
    echoes = torch.fft.irfft(torch.fft.rfft(blocks, 2 * size).abs().square())[:, : SLOWEST + 1]
    # A window lets late echoes fade; dividing by its own echo undoes that.
    window = torch.fft.irfft(torch.fft.rfft(torch.hann_window(size), 2 * size).abs().square())[: SLOWEST + 1]
    strength = echoes / echoes[:, :1].clamp_min(1e-7) / (window / window[0])
    lags = torch.arange(FASTEST, SLOWEST + 1)
    scores = strength[:, FASTEST:]
    # A peak at half the lag of another is an octave above it; of two nearly alike the faster one is meant.
    scores = scores - 0.02 * (lags / FASTEST).log2()
    loud = blocks.square().mean(1).sqrt()
    for _ in range(2):
        peak, index = scores.max(1)
        voiced = (peak > VOICED_STRENGTH) & (loud > 0.12 * loud.mean())
        pitch = (PITCH_RATE / lags[index]).log()
        middle = pitch[voiced].median() if bool(voiced.any()) else torch.tensor(MIDDLE_PITCH)
        away = ((PITCH_RATE / lags).log() - middle).abs() > NEAREST_OCTAVES * math.log(2)
        scores = scores.masked_fill(away, -1.0)
    return voiced, _drawn_through(pitch, voiced, middle)


def _drawn_through(pitch: Tensor, voiced: Tensor, middle: Tensor) -> Tensor:
    """Replace unvoiced frames by a line between their voiced neighbours; smooth a little."""
    known = voiced.nonzero()[:, 0]
    if len(known) == 0:
        return middle.expand(len(pitch)).clone()
    places = torch.arange(len(pitch))
    after = torch.searchsorted(known, places).clamp(max=len(known) - 1)
    before = (after - (known[after] > places).long()).clamp(min=0)
    gap = (known[after] - known[before]).clamp(min=1)
    share = ((places - known[before]) / gap).clamp(0, 1)
    drawn = torch.lerp(pitch[known[before]], pitch[known[after]], share)
    return functional.pad(drawn[None, None], (2, 2), mode="replicate")[0, 0].unfold(0, 5, 1).median(1).values
