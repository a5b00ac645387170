"""Whisper: the network of a verified folder, and what it writes of a recording.

Radford et al. 2022, Robust Speech Recognition via Large-Scale Weak Supervision, arXiv:2212.04356; the network is
transformers' own, the weights are safetensors, and nothing of the folder is run as code.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration, WhisperTokenizer

from voice_trainer.recognition.written import Written
from voice_trainer.recordings.decoding import Samples
from voice_trainer.recordings.slicing import slices
from voice_trainer.recordings.vad import detect

RATE: Final = 16_000  # Hz
WINDOW_SECONDS: Final = 30.0  # of sound that the encoder takes
MAX_TOKENS: Final = 224  # of one window: half of the decoder's positions, as in the paper
RESERVED: Final = 8  # positions for the tokens that say language and task


class NotWhisper(Exception):
    """The folder's files do not make the network."""


@dataclass(frozen=True)
class Whisper:
    """The network, loaded once; calls do not influence one another."""

    network: Any
    tokenizer: Any
    features: Any

    @classmethod
    def load(cls, folder: Path) -> Whisper:
        """Load the network in float32.

        Raises:
            NotWhisper: weights are missing, of another shape, or the files cannot be read.
        """
        try:
            tokenizer = WhisperTokenizer.from_pretrained(folder, local_files_only=True)
            loaded: Any = WhisperForConditionalGeneration.from_pretrained(
                folder,
                local_files_only=True,
                use_safetensors=True,
                dtype=torch.float32,
                output_loading_info=True,
            )
        # Of a folder that anybody wrote: whatever the libraries raise says the same.
        except Exception as error:
            first_line = str(error).strip().partition("\n")[0]
            raise NotWhisper(f"{type(error).__name__}: {first_line[:200]}") from error
        network, found = loaded
        if missing := sorted(found["missing_keys"]):
            raise NotWhisper(f"the weights lack {missing[0]} and {len(missing) - 1} more")
        features = WhisperFeatureExtractor(  # type: ignore[no-untyped-call]
            feature_size=network.config.num_mel_bins
        )
        network.generation_config.max_length = None  # each call says how many tokens
        return cls(network.eval(), tokenizer, features)

    def write(self, samples: Samples, language: str) -> Written:
        """Return what is said in (samples) at 16 kHz; longer ones than 30 s are cut at silences."""
        written = [self._window(part, language) for part in _windows(samples)]
        texts = [one.text for one in written if one.text]
        return Written(" ".join(texts), min((one.confidence for one in written), default=0.0))

    @torch.inference_mode()
    def _window(self, samples: Samples, language: str) -> Written:
        if not samples.any():
            return Written("", 0.0)
        mel = self.features(samples, sampling_rate=RATE, return_tensors="pt").input_features  # (1, mels, 3000)
        settings = self.network.generation_config
        chosen = {"language": language, "task": "transcribe"} if getattr(settings, "is_multilingual", True) else {}
        most = min(MAX_TOKENS, self.network.config.max_target_positions - RESERVED)
        found = self.network.generate(
            mel, **chosen, do_sample=False, num_beams=1, max_new_tokens=most, return_timestamps=False,
            output_scores=True, return_dict_in_generate=True,
        )  # fmt: skip
        tokens = found.sequences[0][-len(found.scores) :]
        logits = torch.stack(found.scores)[:, 0].float()  # (tokens, vocabulary)
        chances = logits.log_softmax(-1).gather(1, tokens[:, None])[:, 0]
        text = self.tokenizer.decode(tokens, skip_special_tokens=True)
        return Written(" ".join(text.split()), float(chances.mean()))


def _windows(samples: Samples) -> list[Samples]:
    if len(samples) <= WINDOW_SECONDS * RATE:
        return [samples]
    spans = slices(detect(samples).voiced)
    return [np.ascontiguousarray(samples[int(one.begin * RATE) : int(one.end * RATE)]) for one in spans]
