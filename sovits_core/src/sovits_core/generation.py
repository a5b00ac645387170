"""Speaking with the torch networks, for evaluation; the server has its own loop over the exported graphs."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from sovits_core.errors import InvalidModelInput
from sovits_core.models import Synthesizer, TextToSemantic
from sovits_core.sampling import Sampler, Sampling

MOST_STEPS = 1500
"""Upstream's limit: 60 s of speech."""
NOISE_SCALE = 0.5
CACHE_BLOCK = 256
"""Slots by which the cache grows."""


@torch.no_grad()
def generate(
    s1: TextToSemantic,
    phones: Tensor,
    bert: Tensor | None,
    prompt: Tensor,
    *,
    sampling: Sampling,
    seed: int,
    most_steps: int = MOST_STEPS,
) -> Tensor:
    """Semantic tokens of one utterance.

    Args:
        s1: in evaluation mode.
        phones: int64 (1, text), those of the prompt and of the target.
        bert: float (1, text, bert_dim), or None, which means zeros.
        prompt: int64 (1, P), the prompt's tokens; may be empty.
        sampling: how to choose; `top_k` of 1 is greedy.
        seed: of this request alone.
        most_steps: where to stop an utterance that does not end, at most 1500.

    Returns:
        int64 (1, N) with at least one token (the sampler allows no earlier end), without prompt and end token.

    Raises:
        InvalidModelInput: there is no phone, or the limit is out of range.
    """
    if phones.shape[0] != 1 or phones.shape[1] == 0:
        raise InvalidModelInput(f"generation takes one row with at least one phone, got {list(phones.shape)}")
    if not 1 <= most_steps <= MOST_STEPS:
        raise InvalidModelInput(f"most_steps={most_steps}: choose 1 to {MOST_STEPS}")
    sampler = Sampler(sampling, np.random.default_rng(seed), s1.config.end_token, prompt[0].tolist())
    logits, keys, values = s1.prefill(phones, bert, prompt)
    length = keys.shape[3]
    tokens: list[int] = []
    while len(tokens) < most_steps:
        choice = sampler.choose(logits.float().cpu().numpy())
        if choice.stop:
            break
        position = prompt.shape[1] + len(tokens)
        tokens.append(choice.token)
        if length == keys.shape[3]:
            keys, values = (functional.pad(cache, (0, 0, 0, CACHE_BLOCK)) for cache in (keys, values))
        logits, new_keys, new_values = s1.step(
            phones.new_tensor([[choice.token]]),
            phones.new_tensor([position]),
            keys,
            values,
            phones.new_tensor([length]),
        )
        keys[:, :, :, length], values[:, :, :, length] = new_keys[:, :, :, 0], new_values[:, :, :, 0]
        length += 1
    return phones.new_tensor([tokens])


@torch.no_grad()
def speak(s2: Synthesizer, codes: Tensor, text: Tensor, ge: Tensor, *, seed: int) -> Tensor:
    """Samples (1, 1, 2 N * hop) of tokens (1, N), the target's phones (1, M) and a timbre (1, timbre, 1)."""
    generator = torch.Generator().manual_seed(seed)
    shape = (1, s2.config.latent, 2 * codes.shape[1])
    noise = NOISE_SCALE * torch.randn(shape, generator=generator).to(ge)
    return s2.decode(codes, text, ge, noise)
