"""Semantic codes of a clip: as the base hears them, or as its words say where the base's codes stand for phones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import HubertModel

from sovits_core.bundle.base import PhoneCodes
from sovits_core.features.alignment import align_codes, without_silence
from sovits_core.features.recording import prompt_features, training_features
from sovits_core.models import Synthesizer
from sovits_core.text.spoken import word_ends


@dataclass(frozen=True)
class Codes:
    """What was read of one clip."""

    values: Tensor  # int64 (N), 25 per second, on the CPU
    aligned: bool  # with what is said in the clip


@dataclass(frozen=True)
class CodeReader:
    """Reads codes of recordings whose words are known.

    A small base mishears speakers that it has not met. Where its codes stand for phones, the words of a clip say which
    they must be, and only when each is spoken is left to hear.
    """

    s2: Synthesizer
    hubert: HubertModel
    language: str
    phone_codes: PhoneCodes

    def read_clip(self, wav: Tensor, text: str, phones: Sequence[str]) -> Codes:
        """Read a clip to learn from.

        Args:
            wav: (samples) at the base's sample rate, on the networks' device.
            text: what is said in it.
            phones: the front end's reading of that.
        """
        return self._read(training_features(self.hubert, wav, self.s2.config.sample_rate), text, phones)

    def read_prompt(self, wav: Tensor, text: str, phones: Sequence[str]) -> Codes:
        """Read a clip to be spoken after; arguments as of `read_clip`.

        As heard, it has the level of the recording and ends with the silence that official prompts end with. Aligned,
        it has no silence at its ends: such a base goes on as if in mid-sentence.
        """
        found = self.read_clip(wav, text, phones) if self.phone_codes else None
        if found is not None and found.aligned:
            return Codes(without_silence(found.values, self.phone_codes), aligned=True)
        return self._read(prompt_features(self.hubert, wav, self.s2.config.sample_rate), text, phones)

    @torch.no_grad()
    def _read(self, features: Tensor, text: str, phones: Sequence[str]) -> Codes:
        distances = self.s2.code_distances(features)[0].cpu()
        if self.phone_codes:
            found = align_codes(distances, phones, word_ends(text, self.language, phones), self.phone_codes)
            if found is not None:
                return Codes(found, aligned=True)
        return Codes(distances.argmin(dim=1), aligned=False)
