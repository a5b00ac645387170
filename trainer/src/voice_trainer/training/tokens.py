"""Semantic tokens of clips: one class for each token strategy that a base may name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, assert_never

import torch
from torch import Tensor
from transformers import HubertModel

from sovits_core.bundle.strategies import AlignedTokens, EncoderTokens, PhoneTokens, TokenStrategy
from sovits_core.features.alignment import align_tokens, trim_silence
from sovits_core.features.recording import prompt_features, training_features
from sovits_core.models import Synthesizer
from sovits_core.text.phones import word_ends


@dataclass(frozen=True)
class ClipTokens:
    """The tokens of one clip."""

    values: Tensor  # int64 (N), 25 per second, on the CPU
    aligned: bool  # with the clip's text; else nearest to the encoder's output


class Tokenizer(Protocol):
    """Finds the tokens of clips whose text is known."""

    def clip(self, wav: Tensor, text: str, phones: Sequence[str]) -> ClipTokens:
        """Return the tokens of a clip to train on.

        Args:
            wav: (samples) at the base's sample rate, on the networks' device.
            text: of the clip.
            phones: the front end's, of that text.
        """

    def prompt(self, wav: Tensor, text: str, phones: Sequence[str]) -> ClipTokens:
        """Return the tokens of a clip that generation continues; arguments as of `clip`."""


def tokenizer_for(strategy: TokenStrategy, s2: Synthesizer, hubert: HubertModel, language: str) -> Tokenizer:
    """Return the implementation of a base's token strategy."""
    encoder = EncoderTokenizer(s2, hubert)
    match strategy:
        case EncoderTokens():
            return encoder
        case AlignedTokens(phone_tokens=phone_tokens):
            return AlignedTokenizer(encoder, language, phone_tokens)
        case _:
            assert_never(strategy)


@dataclass(frozen=True)
class EncoderTokenizer:
    """As the official code: HuBERT's features, quantised.

    Training clips are levelled first. Prompts keep the level of the recording and end with 0.6 s of silence.
    """

    s2: Synthesizer
    hubert: HubertModel

    def clip(self, wav: Tensor, text: str, phones: Sequence[str]) -> ClipTokens:  # noqa: ARG002 -- as the protocol
        """Return the tokens of a clip to train on; its text does not matter."""
        return nearest_tokens(self.clip_distances(wav))

    def prompt(self, wav: Tensor, text: str, phones: Sequence[str]) -> ClipTokens:  # noqa: ARG002 -- as the protocol
        """Return the tokens of a prompt; its text does not matter."""
        return nearest_tokens(self._distances(prompt_features(self.hubert, wav, self.s2.config.sample_rate)))

    def clip_distances(self, wav: Tensor) -> Tensor:
        """Return distances (tokens, codebook entries) of a training clip, on the CPU."""
        return self._distances(training_features(self.hubert, wav, self.s2.config.sample_rate))

    @torch.no_grad()
    def _distances(self, features: Tensor) -> Tensor:
        return self.s2.token_distances(features)[0].cpu()


@dataclass(frozen=True)
class AlignedTokenizer:
    """For bases whose tokens stand for phones: the nearest tokens that agree with the clip's text.

    The encoder of a small base confuses phones of speakers that it was not trained on; where the text is known, only
    the time of each phone has to be estimated. Where a clip does not fit its text, the encoder's tokens remain.
    """

    encoder: EncoderTokenizer
    language: str
    phone_tokens: PhoneTokens

    def clip(self, wav: Tensor, text: str, phones: Sequence[str]) -> ClipTokens:
        """Return the aligned tokens of a clip to train on."""
        distances = self.encoder.clip_distances(wav)
        aligned = align_tokens(distances, phones, word_ends(text, self.language, phones), self.phone_tokens)
        return nearest_tokens(distances) if aligned is None else ClipTokens(aligned, aligned=True)

    def prompt(self, wav: Tensor, text: str, phones: Sequence[str]) -> ClipTokens:
        """Return the aligned tokens of a prompt without silence at its ends, so that generation continues at once."""
        found = self.clip(wav, text, phones)
        if not found.aligned:
            return self.encoder.prompt(wav, text, phones)
        return ClipTokens(trim_silence(found.values, self.phone_tokens), aligned=True)


def nearest_tokens(distances: Tensor) -> ClipTokens:
    """Return the nearest codebook entry of each row of distances (tokens, codebook entries)."""
    return ClipTokens(distances.argmin(dim=1), aligned=False)
