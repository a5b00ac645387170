"""Supervised latents of the tiny base: spectral envelope, voicing and pitch; the remaining channels are noise.

Unsupervised latents take longer to become useful than a CPU has. Supervised ones let posterior encoder, prior and
waveform generator be trained apart from one another, each by plain regression.

Sources: pitch-adaptive smoothing of the envelope: Morise 2015, CheapTrick, a spectral envelope estimator for
high-quality speech synthesis, Speech Communication 67. Pitch from the window-corrected autocorrelation: Boersma 1993,
Accurate short-term analysis of the fundamental frequency and the harmonics-to-noise ratio of a sampled sound.
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
POWER_FLOOR = 7e-7  # power per bin that is added to the envelope's

PITCH_RATE = 16_000
PITCH_WINDOW = 1024
MIN_LAG, MAX_LAG = 38, 228  # samples at 16 kHz: periods of 421 to 70 Hz
VOICING_THRESHOLD = 0.5
MAX_OCTAVES_FROM_MEDIAN = 0.75  # of pitch, from the median of the clip
MEAN_LOG_PITCH, PITCH_DEVIATION = math.log(150.0), 0.35  # mean and deviation over men and women

VOICING, PITCH, SUPERVISED_CHANNELS = BANDS, BANDS + 1, BANDS + 2
"""Channels after the envelope's: voicing (+1, -1) and log pitch around 150 Hz; all others are noise."""
LATENT = 64
NOISE_CHANNELS = LATENT - SUPERVISED_CHANNELS
SPEECH_BANDS, SPEECH_THRESHOLD = 30, -0.8  # bands up to 3 kHz, and their mean level above which a frame is speech


@dataclass(frozen=True)
class Acoustics:
    """Features of one utterance in frames of 20 ms; the centre of frame t is sample 640 t + 320."""

    envelope: Tensor  # float32 [frames, BANDS], log power per bin
    voiced: Tensor  # bool [frames]
    pitch: Tensor  # float32 [frames], log Hz; interpolated in unvoiced frames

    def latents(self) -> Tensor:
        """The supervised channels, [SUPERVISED_CHANNELS, frames], about zero mean and unit variance."""
        mean, deviation = envelope_scale()
        return torch.cat(
            [
                ((self.envelope - mean) / deviation).T,
                (2.0 * self.voiced - 1)[None],
                (self.pitch - MEAN_LOG_PITCH)[None] / PITCH_DEVIATION,
            ]
        )


def envelope_of(latents: Tensor) -> Tensor:
    """Log power per bin (batch, frames, BANDS) of latents (batch, channels, frames)."""
    mean, deviation = envelope_scale()
    return latents[:, :BANDS].transpose(1, 2) * deviation.to(latents) + mean.to(latents)


def pitch_of(latents: Tensor) -> tuple[Tensor, Tensor]:
    """Voicing (bool) and pitch in Hz, each (batch, frames), of latents (batch, channels, frames)."""
    return latents[:, VOICING] > 0, (latents[:, PITCH] * PITCH_DEVIATION + MEAN_LOG_PITCH).exp()


def speech_mask(latents: Tensor) -> Tensor:
    """The frames that are speech, bool (batch, frames), of latents (batch, channels, frames)."""
    return latents[:, :SPEECH_BANDS].mean(1) > SPEECH_THRESHOLD


@lru_cache(maxsize=1)
def envelope_scale() -> tuple[Tensor, Tensor]:
    """Mean and deviation [BANDS] of the envelope in the corpus, at the corpus' loudness: rounded constants.

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
    """Extract the features of an utterance.

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
    return Acoustics((smooth @ band_filters().T + POWER_FLOOR).log(), voiced, pitch)


def _smoothed(power: Tensor, width: Tensor) -> Tensor:
    """Average power [frames, BINS] over `width` bins [frames], so that harmonics are not resolved."""
    cumulative = functional.pad(power.cumsum(1), (1, 0))  # [frames, BINS + 1]: power under the lower edge of a bin

    def integral(edge: Tensor) -> Tensor:
        edge = edge.clamp(0, BINS)
        low = edge.floor().long().clamp(max=BINS - 1)
        return torch.lerp(cumulative.gather(1, low), cumulative.gather(1, low + 1), edge - low)

    middle = torch.arange(BINS) + 0.5
    high, low = middle + width[:, None] / 2, middle - width[:, None] / 2
    return (integral(high) - integral(low)) / (high.clamp(max=BINS) - low.clamp(min=0))


def _pitch(wav: Tensor, frames: int) -> tuple[Tensor, Tensor]:
    """Voicing, and log pitch interpolated in unvoiced frames, each [frames], from autocorrelation at 16 kHz."""
    size, half = PITCH_WINDOW, PITCH_WINDOW // 2
    padded = functional.pad(wav, (half - HOP // 4, size))
    blocks = padded.unfold(0, size, HOP // 2)[:frames] * torch.hann_window(size)
    products = torch.fft.irfft(torch.fft.rfft(blocks, 2 * size).abs().square())[:, : MAX_LAG + 1]
    # The window attenuates long lags; division by its own autocorrelation corrects that (Boersma 1993).
    window = torch.fft.irfft(torch.fft.rfft(torch.hann_window(size), 2 * size).abs().square())[: MAX_LAG + 1]
    correlation = products / products[:, :1].clamp_min(1e-7) / (window / window[0])
    lags = torch.arange(MIN_LAG, MAX_LAG + 1)
    scores = correlation[:, MIN_LAG:]
    # Octave cost: of two peaks of nearly the same height, that of the shorter lag is the period.
    scores = scores - 0.02 * (lags / MIN_LAG).log2()
    rms = blocks.square().mean(1).sqrt()
    for _ in range(2):
        peak, index = scores.max(1)
        voiced = (peak > VOICING_THRESHOLD) & (rms > 0.12 * rms.mean())
        pitch = (PITCH_RATE / lags[index]).log()
        middle = pitch[voiced].median() if bool(voiced.any()) else torch.tensor(MEAN_LOG_PITCH)
        too_far = ((PITCH_RATE / lags).log() - middle).abs() > MAX_OCTAVES_FROM_MEDIAN * math.log(2)
        scores = scores.masked_fill(too_far, -1.0)
    return voiced, _interpolate_unvoiced(pitch, voiced, middle)


def _interpolate_unvoiced(pitch: Tensor, voiced: Tensor, middle: Tensor) -> Tensor:
    """Interpolate linearly over unvoiced frames, then apply a median filter of five frames."""
    known = voiced.nonzero()[:, 0]
    if len(known) == 0:
        return middle.expand(len(pitch)).clone()
    frames = torch.arange(len(pitch))
    after = torch.searchsorted(known, frames).clamp(max=len(known) - 1)
    before = (after - (known[after] > frames).long()).clamp(min=0)
    gap = (known[after] - known[before]).clamp(min=1)
    weight = ((frames - known[before]) / gap).clamp(0, 1)
    filled = torch.lerp(pitch[known[before]], pitch[known[after]], weight)
    return functional.pad(filled[None, None], (2, 2), mode="replicate")[0, 0].unfold(0, 5, 1).median(1).values
