"""The corpus in memory, and the crops that each stage trains on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import soundfile
import torch
import torchaudio.functional as audio_functional
from torch import Tensor

from sovits_core.pretrain.corpus import SAMPLE_RATE, Clip
from sovits_core.text import phone_ids, phonemize

ENCODER_RATE = 16_000
HOP = 640  # samples at 32 kHz in a frame of 20 ms


@dataclass(frozen=True)
class Utterance:
    """One clip ready for training."""

    clip: Clip
    wav: Tensor  # int16 [samples] at 32 kHz, a whole number of frames
    wav16: Tensor  # int16 [samples / 2] at 16 kHz
    phones: tuple[str, ...]
    phone_ids: Tensor  # int64 [phones]

    @property
    def frames(self) -> int:
        """How many frames of 20 ms."""
        return len(self.wav) // HOP


def load_utterances(folder: Path, clips: list[Clip]) -> list[Utterance]:
    """Read the corpus once; at 32 and 16 kHz it takes about 200 kB per second of speech."""
    loaded = []
    for clip in clips:
        samples, _ = soundfile.read(folder / clip.audio, dtype="float32")
        wav = torch.from_numpy(samples)[: len(samples) // (2 * HOP) * (2 * HOP)]
        phones = phonemize(clip.text, "en").phones
        loaded.append(
            Utterance(
                clip,
                (wav * 32767).round().to(torch.int16),
                (audio_functional.resample(wav, SAMPLE_RATE, ENCODER_RATE) * 32767)
                .round()
                .clamp(-32768, 32767)
                .to(torch.int16),
                phones,
                torch.tensor(phone_ids(phones)),
            )
        )
    return loaded


def floats(wav: Tensor) -> Tensor:
    """Turn int16 samples to float32 between -1 and 1."""
    return wav.float() / 32768
