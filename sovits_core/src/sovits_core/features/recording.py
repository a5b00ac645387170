"""Features of a recording: HuBERT features, linear spectrograms and mels."""

from functools import lru_cache
from math import gcd
from pathlib import Path
from typing import Any

import torch
import torchaudio
from safetensors import SafetensorError
from torch import Tensor
from torch.nn import functional
from transformers import HubertConfig, HubertModel

from sovits_core.errors import CheckpointMismatch, InvalidModelInput

HUBERT_RATE = 16000
"""Samples per second of HuBERT's input; its features come at 50 per second."""
SHORTEST_HUBERT_INPUT = 400
"""Samples under HuBERT's first feature: the reach of its convolutions."""
TRAINING_SCALE = 1145.14
"""Upstream scales training recordings by this before HuBERT, and prompts not: the official weights expect both."""
PROMPT_SILENCE = 9600
"""Zeros (0.6 s at 16 kHz) that follow a prompt."""
SMALLEST_POWER = 1e-8
SMALLEST_MEL = 1e-5


def load_hubert(folder: Path) -> HubertModel:
    """A HuBERT for features, in float32, frozen, from a folder with config.json and model.safetensors.

    Raises:
        CheckpointMismatch: the folder does not hold one.
    """
    try:
        config = HubertConfig.from_json_file(folder / "config.json")
        loaded: Any = HubertModel.from_pretrained(
            folder,
            config=config,
            local_files_only=True,
            use_safetensors=True,
            dtype=torch.float32,
            output_loading_info=True,
        )
    except (OSError, ValueError, SafetensorError) as error:
        raise CheckpointMismatch(str(folder.name), [f"it holds no readable HuBERT ({error})"]) from error
    hubert, loading = loaded
    # transformers fills missing tensors with random numbers; only the mask vector of its own training may be absent
    if missing := sorted(set(loading["missing_keys"]) - {"masked_spec_embed"}):
        raise CheckpointMismatch(f"the HuBERT in {folder.name}", [f"{key} is missing" for key in missing])
    frozen: HubertModel = hubert.eval().requires_grad_(requires_grad=False)
    return frozen


def hubert_features(hubert: HubertModel, wav: Tensor, *, half: bool = False) -> Tensor:
    """Features of one waveform, or of several of one length; padding is not allowed, as a norm over time would see it.

    Args:
        hubert: from `load_hubert`, on any device.
        wav: (batch, samples) at 16 kHz, on the same device.
        half: compute in float16 where autocast holds it safe. What overflows is computed again in float32.

    Returns:
        float32 (batch, ssl_dim, T50) with T50 = floor((samples - 400) / 320) + 1 for the official sizes.

    Raises:
        InvalidModelInput: fewer samples than one feature needs.
    """
    if wav.ndim != 2 or wav.shape[1] < SHORTEST_HUBERT_INPUT:
        raise InvalidModelInput(
            f"HuBERT needs (batch, samples), at least {SHORTEST_HUBERT_INPUT} samples at 16 kHz, got {list(wav.shape)}"
        )
    with torch.no_grad(), torch.autocast(wav.device.type, dtype=torch.float16, enabled=half):
        features: Tensor = hubert(wav).last_hidden_state  # (batch, T50, ssl_dim)
    if half and not features.isfinite().all():
        return hubert_features(hubert, wav)
    return features.float().transpose(1, 2)


def training_features(hubert: HubertModel, wav: Tensor, sample_rate: int, *, half: bool = False) -> Tensor:
    """Features (1, ssl_dim, T50) of a training recording, levelled (half at a peak of 0.95) and scaled.

    Args:
        hubert: from `load_hubert`.
        wav: (samples).
        sample_rate: of wav.
        half: see `hubert_features`.

    Raises:
        InvalidModelInput: the recording is silent, not finite or too short.
    """
    peak = float(wav.abs().max()) if wav.numel() else 0.0
    if not 0 < peak < float("inf"):
        raise InvalidModelInput(f"a recording needs a finite peak above zero, this one's is {peak}")
    levelled = wav / peak * (0.95 * 0.5) + 0.5 * wav
    return hubert_features(hubert, resample(TRAINING_SCALE * levelled, sample_rate, HUBERT_RATE)[None], half=half)


def prompt_features(hubert: HubertModel, wav: Tensor, sample_rate: int, *, half: bool = False) -> Tensor:
    """Features (1, ssl_dim, T50) of a prompt: wav (samples) as it is, followed by 0.6 s of silence."""
    at_hubert_rate = resample(wav, sample_rate, HUBERT_RATE)
    return hubert_features(hubert, functional.pad(at_hubert_rate, (0, PROMPT_SILENCE))[None], half=half)


def resample(wav: Tensor, source: int, target: int) -> Tensor:
    """Wav (..., samples) from one rate to another."""
    if source == target:
        return wav
    common = gcd(source, target)
    resampled: Tensor = torchaudio.functional.resample(wav, source // common, target // common)
    return resampled


def spectrogram(wav: Tensor, n_fft: int = 2048, hop: int = 640) -> Tensor:
    """Linear magnitudes, one frame per hop, as the synthesizer's reference, posterior and mels want them.

    Args:
        wav: (samples) or (batch, samples).
        n_fft: window and transform length.
        hop: samples per frame.

    Returns:
        (..., n_fft / 2 + 1, samples // hop).

    Raises:
        InvalidModelInput: the waveform is too short to be mirrored at its ends.
    """
    margin = (n_fft - hop) // 2
    if wav.shape[-1] <= margin:
        raise InvalidModelInput(f"a spectrogram needs more than {margin} samples, got {wav.shape[-1]}")
    rows = wav.reshape(-1, wav.shape[-1])
    padded = functional.pad(rows[:, None], (margin, margin), mode="reflect")[:, 0]
    window = torch.hann_window(n_fft, dtype=wav.dtype, device=wav.device)
    spectrum = torch.stft(padded, n_fft, hop, window=window, center=False, return_complex=True)
    power = spectrum.real.square() + spectrum.imag.square()
    return (power + SMALLEST_POWER).sqrt().reshape(*wav.shape[:-1], *spectrum.shape[1:])


def log_mel(spec: Tensor, sample_rate: int = 32000, bands: int = 128) -> Tensor:
    """spec: (..., bins, frames) from `spectrogram` -> natural log of Slaney mels, (..., bands, frames)."""
    filters = mel_filters(spec.shape[-2], sample_rate, bands).to(spec)  # (bands, bins)
    return (filters @ spec).clamp(min=SMALLEST_MEL).log()


@lru_cache(maxsize=8)
def mel_filters(bins: int, sample_rate: int, bands: int) -> Tensor:
    """Slaney's filters from 0 Hz to half the rate, area-normalised: (bands, bins), on the CPU."""
    filters: Tensor = torchaudio.functional.melscale_fbanks(
        bins, 0.0, sample_rate / 2, bands, sample_rate, norm="slaney", mel_scale="slaney"
    )
    return filters.T.contiguous()
