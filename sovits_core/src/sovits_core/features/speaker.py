"""Filterbanks and the speaker vector of a recording, for the Pro family's synthesizers."""

import torch
from torch import Tensor
from torchaudio.compliance import kaldi

from sovits_core.errors import InvalidModelInput
from sovits_core.features.recording import resample
from sovits_core.models.speaker import SpeakerEncoder

FILTERBANK_RATE = 16000
"""Samples per second under the filterbank; its frames come at 100 per second."""
FILTERBANK_WINDOW = 400
"""Samples under one frame (25 ms): the least that there must be."""


def filterbank(wav: Tensor, bands: int = 80) -> Tensor:
    """Kaldi's log filterbank energies, without dither, mean normalisation or the scale of 16-bit samples.

    Args:
        wav: (samples) at 16 kHz, between -1 and 1.
        bands: mel bands from 20 Hz to half the rate.

    Returns:
        (frames, bands) with frames = floor((samples - 400) / 160) + 1.

    Raises:
        InvalidModelInput: the waveform is not one-dimensional, or shorter than one frame.
    """
    if wav.ndim != 1 or len(wav) < FILTERBANK_WINDOW:
        raise InvalidModelInput(
            f"a filterbank needs (samples), at least {FILTERBANK_WINDOW} samples at 16 kHz, got {list(wav.shape)}"
        )
    energies: Tensor = kaldi.fbank(wav[None], num_mel_bins=bands, sample_frequency=FILTERBANK_RATE, dither=0.0)
    return energies


@torch.no_grad()
def speaker_vector(encoder: SpeakerEncoder, wav: Tensor, sample_rate: int) -> Tensor:
    """The vector (1, 20480 for the official sizes) that a Pro synthesizer adds to its speaker embedding.

    Args:
        encoder: in evaluation mode.
        wav: (samples), levelled as the reference of the spectrogram is; its loudness is part of the answer.
        sample_rate: of wav.

    Raises:
        InvalidModelInput: the recording is shorter than 25 ms, or has more than one channel.
    """
    energies = filterbank(resample(wav, sample_rate, FILTERBANK_RATE), encoder.config.bands)
    vector: Tensor = encoder(energies[None].to(encoder.stem.weight))
    return vector


@torch.no_grad()
def verification_embedding(encoder: SpeakerEncoder, wav: Tensor, sample_rate: int) -> Tensor:
    """The embedding (1, 192 for the official sizes) by which speakers are compared: the cosine of two is 1 at most.

    Args:
        encoder: in evaluation mode.
        wav: (samples), at least 25 ms.
        sample_rate: of wav.
    """
    energies = filterbank(resample(wav, sample_rate, FILTERBANK_RATE), encoder.config.bands)
    energies = energies - energies.mean(dim=0)  # as the official verification pipeline does
    return encoder.verify(energies[None].to(encoder.stem.weight))
