"""Loss of the velocity network of v3 and v4; no product part trains it."""

import torch
from torch import Tensor

from sovits_core.models.masks import length_mask
from sovits_core.reference.diffusion_transformer import DiffusionTransformer

MAX_PROMPT_RATIO = 2 / 3
"""Of a row's length."""
SHORTCUT_PROB = 0.3
MIN_STEP_EXPONENT, MAX_STEP_EXPONENT = -7, -2
"""The single step of a shortcut is a power of two with an exponent in this range."""
MIN_STEP = 1e-2
"""Smaller single steps are passed to the network as zero."""


# Lipman et al. 2022, Flow Matching for Generative Modeling, arXiv:2210.02747; Frans et al. 2024, One Step Diffusion
# via Shortcut Models, arXiv:2410.12557; as GPT_SoVITS/module/models.py (CFM.forward)
def flow_matching_loss(
    velocity: DiffusionTransformer,
    mel: Tensor,
    features: Tensor,
    lengths: Tensor,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Return the flow-matching loss of S2 of v3 and v4: error of the velocity on straight paths from noise to mel.

    The first frames of each row, up to two thirds, become its prompt; neither they nor padding count. With
    probability `SHORTCUT_PROB` the whole batch is trained on self-consistency instead: one step of double size must
    equal two single ones.

    Args:
        velocity: the network.
        mel: (batch, bands, frames), normalised.
        features: (batch, channels, frames).
        lengths: int64 (batch), each at least 1.
        generator: source of noise, times, prompts and steps, on the tensors' device.

    Returns:
        The mean over rows of the squared error per real value.
    """
    uniform = torch.rand(4, len(mel), generator=generator, device=mel.device)  # uniform in [0, 1)
    prompt_lengths = (uniform[0] * MAX_PROMPT_RATIO * lengths).long()
    prompt_mask = length_mask(prompt_lengths, mel.shape[2])[:, None]  # (batch, 1, frames)
    real = length_mask(lengths, mel.shape[2])[:, None] & ~prompt_mask
    noise = torch.randn(mel.shape, generator=generator, device=mel.device, dtype=mel.dtype)
    encoded = velocity.encode_features(features, lengths)
    prompt = mel * prompt_mask

    def predict(x: Tensor, time: Tensor, step: Tensor) -> Tensor:
        result: Tensor = velocity(x * real, prompt, encoded, time.to(mel), step.to(mel), lengths=lengths)
        return result

    if uniform[1, 0] < SHORTCUT_PROB:
        exponent = MIN_STEP_EXPONENT + (uniform[2, 0] * (MAX_STEP_EXPONENT - MIN_STEP_EXPONENT + 1)).floor()
        step = torch.exp2(exponent).expand(len(mel))
        # both steps must end at time 1 or before; upstream also draws times from which they would pass it
        time = uniform[3] * (1 - 2 * step)
        x = torch.lerp(noise, mel, time[:, None, None].to(mel))
        condition = torch.where(step < MIN_STEP, 0, step)
        with torch.no_grad():
            first = predict(x, time, condition)
            second = predict(x + step[:, None, None].to(mel) * first, time + step, condition)
        target, step_condition = (first + second) / 2, 2 * step
    else:
        time = uniform[3]
        x = torch.lerp(noise, mel, time[:, None, None].to(mel))
        target, step_condition = mel - noise, torch.zeros_like(time)
    error = (predict(x, time, step_condition) - target).square() * real  # (batch, bands, frames)
    per_row: Tensor = error.sum(dim=(1, 2)) / (real.sum(dim=(1, 2)) * mel.shape[1])
    return per_row.mean()
