"""Tokens to speech by v3 and v4: a reference's mel as prompt, a mel by flow matching, and a vocoder."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from sovits_core.bundle.model_config import MelConfig
from sovits_core.features.recording import log_mel, spectrogram
from sovits_core.reference.flow_matching import continue_mel
from sovits_core.reference.mel_synthesizer import MelSynthesizer

LOWEST, HIGHEST = -12.0, 2.0
"""Natural log mels between these become -1 to 1 for the velocity; silence lies at about -11.5."""
DEFAULT_STEPS = 32

Voice = Callable[[Tensor], Tensor]
"""A vocoder: natural log mel (batch, bands, frames) to samples (batch, 1, samples)."""


@dataclass(frozen=True)
class MelPrompt:
    """A reference clip: mel, tokens, phones and speaker embedding."""

    mel: Tensor
    """(1, bands, frames) of `normalised_mel`."""
    tokens: Tensor
    """int64 (1, N)."""
    text: Tensor
    """int64 (1, M): the phones of the reference; v3 and v4 cannot do without them."""
    speaker_embedding: Tensor
    """(1, embedding, 1) of `MelSynthesizer.speaker_embedding`."""


def normalised_mel(wav: Tensor, config: MelConfig) -> Tensor:
    """Return the normalised log mel, the input of the velocity network.

    Args:
        wav: (samples) or (batch, samples) at the configuration's rate.
        config: of the mel.

    Returns:
        (..., bands, samples // hop), about -1 to 1.

    Raises:
        InvalidModelInput: the waveform is shorter than the margins of one frame.
    """
    mel = log_mel(spectrogram(wav, config.n_fft, config.hop), config.sample_rate, config.bands)
    return (mel - LOWEST) / (HIGHEST - LOWEST) * 2 - 1


def restored_mel(mel: Tensor) -> Tensor:
    """The natural log mel that a vocoder takes, from a normalised one."""
    return (mel + 1) / 2 * (HIGHEST - LOWEST) + LOWEST


@torch.no_grad()
def synthesize(
    synthesizer: MelSynthesizer,
    vocoder: Voice,
    prompt: MelPrompt,
    tokens: Tensor,
    text: Tensor,
    *,
    seed: int,
    steps: int = DEFAULT_STEPS,
) -> Tensor:
    """Synthesise one sentence in the voice of a reference.

    Args:
        synthesizer: in evaluation mode.
        vocoder: BigVGAN for v3, the HiFi-GAN vocoder for v4.
        prompt: the reference.
        tokens: int64 (1, N) of the target.
        text: int64 (1, M), the phones of the target alone.
        seed: of the noise; nobody else's random numbers are touched.
        steps: of the integration; fewer are faster, powers of two up to 128 are what the weights know.

    Returns:
        (1, 1, samples) at the vocoder's rate.

    Raises:
        InvalidModelInput: no target, an empty prompt, or no steps.
    """
    prompt_features, _ = synthesizer.features(prompt.tokens, prompt.text, prompt.speaker_embedding)
    features, _ = synthesizer.features(tokens, text, prompt.speaker_embedding)
    generator = torch.Generator(features.device).manual_seed(seed)
    shape = (1, synthesizer.config.mel.bands, features.shape[2])
    noise = torch.randn(shape, generator=generator, device=features.device, dtype=features.dtype)
    mel = continue_mel(synthesizer, prompt.mel, prompt_features, features, noise, steps=steps)
    return vocoder(restored_mel(mel))
