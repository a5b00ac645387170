"""Speaking freely with the trained voice: the prompt it carries, and sentences nobody recorded."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import HubertModel

from sovits_core.features import prompt_features, spectrogram
from sovits_core.generation import generate, speak
from sovits_core.networks import Networks
from sovits_core.sampling import Sampling
from sovits_core.symbols import phone_ids
from sovits_core.text import phonemize
from voice_trainer.audio import Samples

CODES_A_PHONE = 12  # at 25 codes a second half a second for each phone: no sentence is slower
CODES_LEAST = 50


@dataclass(frozen=True)
class Prompt:
    """What a server needs of the reference clip to speak in its voice."""

    codes: Tensor  # int64 (P)
    phones: Tensor  # int64 (T)
    timbre: Tensor  # float32 (gin)

    def save(self, path: Path) -> None:
        """Write ``prompt.safetensors`` of the voice bundle."""
        save_file({"codes": self.codes, "phones": self.phones, "ge": self.timbre}, path)


def make_prompt(networks: Networks, hubert: HubertModel, wav: Tensor, phones: Tensor) -> Prompt:
    """Make the prompt of a clip.

    Args:
        networks: with the adapter.
        hubert: the base's speech encoder.
        wav: (samples) at the base's sample rate, on the networks' device.
        phones: int64 (T) of what is said in it.
    """
    config = networks.s2.config
    with torch.no_grad():
        codes = networks.s2.quantize(prompt_features(hubert, wav, config.sample_rate))[0]
        spec = spectrogram(wav, 2 * (config.spectrogram_bins - 1), config.hop)
        timbre = networks.s2.timbre(spec[None])[0, :, 0]
    return Prompt(codes.cpu(), phones.cpu(), timbre.float().cpu())


def speak_text(networks: Networks, prompt: Prompt, text: str, language: str, *, table: str, seed: int) -> Samples:
    """Speak a sentence as the server will: codes from S1 after the prompt, sound from S2; at the base's sample rate.

    The same text and seed give the same sound on the same machine.
    """
    device = next(networks.parameters()).device
    target = torch.tensor(phone_ids(phonemize(text, language).phones, table), device=device)
    phones = torch.cat([prompt.phones.to(device), target])[None]
    own_seed = int.from_bytes(hashlib.sha256(f"{seed}/{text}".encode()).digest()[:4], "big")
    codes = generate(
        networks.s1,
        phones,
        None,
        prompt.codes[None].to(device),
        sampling=Sampling(),
        seed=own_seed,
        most_steps=max(CODES_LEAST, CODES_A_PHONE * len(target)),
    )
    wav = speak(networks.s2, codes, target[None], prompt.timbre[None, :, None].to(device), seed=own_seed)
    samples: Samples = wav[0, 0].cpu().numpy()
    return samples
