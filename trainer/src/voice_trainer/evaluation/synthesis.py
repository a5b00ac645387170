"""Synthesis of sentences that nobody recorded, after the prompt that the voice bundle carries."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from sovits_core.models.networks import Networks
from sovits_core.synthesis.generation import MAX_TOKENS, generate, synthesize
from sovits_core.synthesis.sampling import Sampling
from sovits_core.text import Phonemes, PolyphoneReader, phonemize_for_synthesis
from sovits_core.text.lexicon import Lexicon
from sovits_core.text.symbols import phone_ids
from voice_trainer.evaluation.voice import FeaturedClip
from voice_trainer.job.base import JobBase
from voice_trainer.recordings.decoding import Samples
from voice_trainer.recordings.polyphones import load_polyphones
from voice_trainer.training.networks import Encoders
from voice_trainer.training.tokens import tokenizer_for

MAX_TOKENS_PER_PHONE = 12  # at 25 tokens a second half a second for each phone: no sentence is slower
MIN_TOKEN_LIMIT = 50


@dataclass(frozen=True)
class Prompt:
    """The prompt clip as a server needs it: tokens, phones, speaker embedding."""

    tokens: Tensor  # int64 (P)
    phones: Tensor  # int64 (T)
    bert: Tensor | None  # float32 (T, width); None stands for zeros
    speaker_embedding: Tensor  # float32 (gin)

    def save(self, path: Path) -> None:
        """Write ``prompt.safetensors`` of the voice bundle; the names of its tensors are a contract."""
        tensors = {"codes": self.tokens, "phones": self.phones, "ge": self.speaker_embedding}
        save_file(tensors if self.bert is None else {**tensors, "bert": self.bert}, path)


def load_prompt(path: Path) -> Prompt:
    """Read the ``prompt.safetensors`` of a bundle.

    Raises:
        ValueError: it is no such file, or a tensor is missing.
    """
    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path.name} holds no tensors: {error}") from error
    if missing := {"codes", "phones", "ge"} - tensors.keys():
        raise ValueError(f"{path.name} has no {', '.join(sorted(missing))}")
    return Prompt(tensors["codes"], tensors["phones"], tensors.get("bert"), tensors["ge"])


def encode_prompt(base: JobBase, networks: Networks, encoders: Encoders, clip: FeaturedClip, language: str) -> Prompt:
    """Encode the clip as a prompt; the speaker embedding is the adapted networks'."""
    device = next(networks.parameters()).device
    wav = torch.from_numpy(clip.training_recording()).to(device)
    tokenizer = tokenizer_for(base.document.tokens, networks.s2, encoders.hubert, language)
    with torch.no_grad():
        embedding = encoders.speaker_embedding(networks.s2, wav)
    return Prompt(
        tokens=tokenizer.prompt(wav, clip.clip.text, clip.clip.phones).values,
        phones=clip.features.phones,
        bert=clip.features.bert,
        speaker_embedding=embedding.float().cpu(),
    )


@dataclass(frozen=True)
class Synthesis:
    """One spoken sentence."""

    samples: Samples  # at the base's sample rate
    tokens: tuple[int, ...]
    ended: bool
    """Whether S1 chose an end token before the limit."""
    phones: tuple[str, ...]
    normalized: str
    """The text as it was spelled out to be spoken."""


@dataclass(frozen=True)
class Synthesiser:
    """Synthesises sentences as the server will: tokens from S1 after the prompt, the waveform from S2."""

    networks: Networks
    encoders: Encoders
    prompt: Prompt
    language: str
    symbols: str
    """Name of the phone table."""
    polyphones: PolyphoneReader | None
    lexicon: Lexicon
    sampling: Sampling
    seed: int
    locale: str = ""
    """How the sentences write dates and numbers."""

    @property
    def sample_rate(self) -> int:
        """In Hz."""
        return self.networks.s2.config.sample_rate

    def synthesize(self, text: str) -> Synthesis:
        """Speak a sentence; the same text and seed give the same on the same machine."""
        device = next(self.networks.parameters()).device
        found = phonemize_for_synthesis(
            text, self.language, self.symbols, self.polyphones, self.lexicon, locale=self.locale
        )
        target = torch.tensor(phone_ids(found.phones, self.symbols), device=device)
        seed = int.from_bytes(hashlib.sha256(f"{self.seed}/{text}".encode()).digest()[:4], "big")
        limit = max(MIN_TOKEN_LIMIT, min(MAX_TOKENS, MAX_TOKENS_PER_PHONE * len(target)))
        tokens = generate(
            self.networks.s1,
            torch.cat([self.prompt.phones.to(device), target])[None],
            self._bert(found, device),
            self.prompt.tokens[None].to(device),
            sampling=self.sampling,
            seed=seed,
            max_tokens=limit,
        )
        embedding = self.prompt.speaker_embedding[None, :, None].to(device)
        samples = synthesize(self.networks.s2, tokens, target[None], embedding, seed=seed)[0, 0].cpu().numpy()
        chosen = tuple(tokens[0].tolist())
        return Synthesis(samples, chosen, len(chosen) < limit, found.phones, found.normalized)

    def _bert(self, found: Phonemes, device: torch.device) -> Tensor | None:
        """Text features of prompt and target: (1, phones, width), or ``None`` for zeros."""
        target = self.encoders.text_features(found)
        if self.prompt.bert is None or target is None:
            return None
        return torch.cat([self.prompt.bert, target])[None].to(device)


def load_synthesiser(  # noqa: PLR0917 -- one call, each of its own type
    base: JobBase, networks: Networks, encoders: Encoders, prompt: Prompt, language: str, seed: int, *, locale: str = ""
) -> Synthesiser:
    """Return a synthesiser with the base's phone table, polyphones and sampling.

    Raises:
        BaseRejected, TextModelRejected: a file of the base is missing or damaged.
    """
    document = base.document
    polyphones = load_polyphones(base, language)
    return Synthesiser(
        networks,
        encoders,
        prompt,
        language,
        document.symbols,
        polyphones,
        document.readings,
        document.sampling.choice(),
        seed,
        locale,
    )
