"""Subjects of the benchmark: networks of the official sizes with random weights, and inputs for them."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from sovits_core.bundle.model_config import SynthesizerConfig, TextToSemanticConfig, s2_v1, s2_v2_pro, s2_v2_pro_plus
from sovits_core.models import Synthesizer, TextToSemantic

PHONES, STEPS = 60, 100
PROMPTS = (100, 440)
"""Tokens of the prompt: 160 and 500 positions are filled before the first step."""
CODES, TEXT = 125, 40
"""5 s of speech, and the phones of so long a sentence."""

VERSIONS: dict[str, SynthesizerConfig] = {
    "v1": s2_v1(),
    "v2": SynthesizerConfig(),
    "v2Pro": s2_v2_pro(),
    "v2ProPlus": s2_v2_pro_plus(),
}
TIMED = ("v2", "v2Pro", "v2ProPlus")
"""v1 differs from v2 in its embeddings and its reference encoder alone, so its speed is the same."""


@torch.no_grad()
def random_s1(config: TextToSemanticConfig, seed: int = 0) -> TextToSemantic:
    """An S1 that speaks on forever: the end token never wins."""
    torch.manual_seed(seed)
    s1 = TextToSemantic(config).eval()
    s1.predict.weight[config.end_token] = 0.0
    _halve(s1)
    return s1


@torch.no_grad()
def random_s2(config: SynthesizerConfig, seed: int = 0) -> Synthesizer:
    """An S2 that can be heard: a fresh waveform generator is next to silent, and a fresh flow does nothing."""
    torch.manual_seed(seed)
    s2 = Synthesizer(config).eval()
    s2.fold_weight_norm()
    loud = [*s2.waveform_generator.modules(), *(part for name, part in s2.flow.named_modules() if "shift" in name)]
    for part in loud:
        if isinstance(part, nn.Conv1d | nn.ConvTranspose1d):
            rate = part.stride[0] if isinstance(part, nn.ConvTranspose1d) else 1
            nn.init.normal_(part.weight, std=1 / math.sqrt(part.in_channels * part.kernel_size[0] / rate))
    _halve(s2)
    return s2


def s1_inputs(config: TextToSemanticConfig, phones: int = PHONES, prompt: int = PROMPTS[0]) -> dict[str, Tensor]:
    """The inputs of `TextToSemantic.prefill`."""
    generator = torch.Generator().manual_seed(1)
    return {
        "phones": torch.randint(config.phonemes, (1, phones), generator=generator),
        "bert": torch.randn(1, phones, config.bert_dim, generator=generator),
        "prompt": torch.randint(config.end_token, (1, prompt), generator=generator),
    }


def s2_inputs(config: SynthesizerConfig, codes: int = CODES, text: int = TEXT) -> dict[str, Tensor]:
    """Inputs of the graph `s2_decode`, in the order of the parameters of `Synthesizer.decode`."""
    generator = torch.Generator().manual_seed(2)
    return {
        "codes": torch.randint(config.codebook_size, (1, codes), generator=generator),
        "text": torch.randint(config.phonemes, (1, text), generator=generator),
        "ge": torch.randn(1, config.speaker_embedding, 1, generator=generator),
        "noise": 0.5 * torch.randn(1, config.latent, 2 * codes, generator=generator),
    }


def _halve(network: nn.Module) -> None:
    """Round the weights to what graphs store, so that a difference is the graph's and not the rounding's."""
    for parameter in network.parameters():
        parameter.copy_(parameter.half().float())
