"""From noise to a mel along the velocity of v3 and v4: integration in equal steps, and long mels chunk by chunk.

Upstream can also make all chunks of all sentences in one batch, each after the same prompt. Nothing joins such chunks
but a cross-fade of their waveforms, so that way is left out: here each chunk continues the one before it.
"""

import torch
from torch import Tensor
from torch.nn import functional

from sovits_core.errors import InvalidModelInput
from sovits_core.reference.diffusion_transformer import DiffusionTransformer
from sovits_core.reference.mel_synthesizer import MelSynthesizer


# Lipman et al. 2022, Flow Matching for Generative Modeling, arXiv:2210.02747; Euler steps as CFM of
# GPT_SoVITS/module/models.py
@torch.no_grad()
def integrate(velocity: DiffusionTransformer, noise: Tensor, prompt: Tensor, features: Tensor, *, steps: int) -> Tensor:
    """Turn noise into the mel that follows a prompt.

    Args:
        velocity: in evaluation mode.
        noise: (batch, bands, T), standard normal (times a temperature).
        prompt: (batch, bands, P), a normalised mel; P may be zero.
        features: (batch, channels, P + T), of the prompt and of what follows it.
        steps: of equal size; the official weights know powers of two up to 128.

    Returns:
        (batch, bands, T), normalised.

    Raises:
        InvalidModelInput: the frames do not add up, or there are no steps.
    """
    known, new = prompt.shape[2], noise.shape[2]
    if features.shape[2] != known + new:
        raise InvalidModelInput(f"{features.shape[2]} frames of features do not cover {known} of prompt and {new} new")
    if steps < 1:
        raise InvalidModelInput(f"steps={steps} must be at least 1")
    encoded = velocity.encode_features(features)
    condition = functional.pad(prompt, (0, new))
    x = functional.pad(noise, (known, 0))  # the prompt's own frames stay zero: it is given separately
    step = x.new_full((len(x),), 1 / steps)
    for index in range(steps):
        slope = velocity(x, condition, encoded, x.new_full((len(x),), index / steps), step)
        x = x + slope / steps
        x[:, :, :known] = 0
    return x[:, :, known:]


def continue_mel(
    synthesizer: MelSynthesizer,
    prompt: Tensor,
    prompt_features: Tensor,
    features: Tensor,
    noise: Tensor,
    *,
    steps: int,
) -> Tensor:
    """Make a mel of any length, chunk by chunk; the end of each chunk is the prompt of the next.

    Args:
        synthesizer: in evaluation mode.
        prompt: (1, bands, P), the reference's normalised mel.
        prompt_features: (1, features, P'), of the reference's tokens; both are cropped to the shorter one, of
            which at most the last `prompt_frames` are kept.
        features: (1, features, T), of the target.
        noise: (1, bands, T).
        steps: as in `integrate`.

    Returns:
        (1, bands, T), normalised.

    Raises:
        InvalidModelInput: prompt or target are empty, or the noise is not as long as the features.
    """
    config = synthesizer.config
    shared = min(prompt.shape[2], prompt_features.shape[2])
    if not shared or not features.shape[2]:
        raise InvalidModelInput("prompt and target must have at least one frame each")
    if noise.shape[2] != features.shape[2]:
        raise InvalidModelInput(f"{noise.shape[2]} frames of noise do not match {features.shape[2]} of features")
    keep = min(shared, config.prompt_frames)
    before = prompt[:, :, shared - keep : shared]
    before_features = prompt_features[:, :, shared - keep : shared]
    size = config.chunk_frames - keep
    made = []
    for chunk, start in zip(torch.split(features, size, 2), torch.split(noise, size, 2), strict=True):
        together = torch.cat([before_features, chunk], dim=2)
        mel = integrate(synthesizer.velocity, start, before, together, steps=steps)
        made.append(mel)
        before, before_features = mel[:, :, -keep:], chunk[:, :, -keep:]
    return torch.cat(made, dim=2)
