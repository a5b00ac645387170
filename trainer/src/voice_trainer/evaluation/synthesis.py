"""Speaking freely with the trained voice: the prompt it carries, and sentences nobody recorded."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from sovits_core.models.networks import Networks
from sovits_core.synthesis.generation import generate, synthesize
from sovits_core.synthesis.sampling import Sampling
from sovits_core.text import PolyphoneReader, phonemize_for_synthesis
from sovits_core.text.symbols import phone_ids
from voice_trainer.recordings.audio import Samples
from voice_trainer.training.networks import Encoders

CODES_A_PHONE = 12  # at 25 codes a second half a second for each phone: no sentence is slower
CODES_LEAST = 50


@dataclass(frozen=True)
class Prompt:
    """What a server needs of the reference clip to speak in its voice."""

    codes: Tensor  # int64 (P)
    phones: Tensor  # int64 (T)
    bert: Tensor | None  # float32 (T, width); None stands for zeros
    timbre: Tensor  # float32 (gin)

    def save(self, path: Path) -> None:
        """Write ``prompt.safetensors`` of the voice bundle."""
        vectors = {} if self.bert is None else {"bert": self.bert}
        save_file({"codes": self.codes, "phones": self.phones, "ge": self.timbre, **vectors}, path)


def speak_text(
    networks: Networks,
    encoders: Encoders,
    prompt: Prompt,
    text: str,
    language: str,
    *,
    table: str,
    polyphones: PolyphoneReader | None,
    sampling: Sampling,
    seed: int,
) -> Samples:
    """Speak a sentence as the server will: codes from S1 after the prompt, sound from S2; at the base's sample rate.

    The same text and seed give the same sound on the same machine.
    """
    device = next(networks.parameters()).device
    read = phonemize_for_synthesis(text, language, table, polyphones)
    target = torch.tensor(phone_ids(read.phones, table), device=device)
    vectors = encoders.text_features(read)
    bert = None
    if prompt.bert is not None and vectors is not None:
        bert = torch.cat([prompt.bert, vectors])[None].to(device)
    phones = torch.cat([prompt.phones.to(device), target])[None]
    own_seed = int.from_bytes(hashlib.sha256(f"{seed}/{text}".encode()).digest()[:4], "big")
    codes = generate(
        networks.s1,
        phones,
        bert,
        prompt.codes[None].to(device),
        sampling=sampling,
        seed=own_seed,
        max_tokens=max(CODES_LEAST, CODES_A_PHONE * len(target)),
    )
    wav = synthesize(networks.s2, codes, target[None], prompt.timbre[None, :, None].to(device), seed=own_seed)
    samples: Samples = wav[0, 0].cpu().numpy()
    return samples
