"""The corpus in memory: audio, acoustic features and phones of each clip."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import soundfile
import torch
import torchaudio.functional as audio_functional
from safetensors.torch import load_file, save_file
from torch import Tensor

from sovits_core.text import phone_ids, phonemize
from tiny_base.acoustics import HOP, SAMPLE_RATE, Acoustics, analyse
from tiny_base.corpus import HELD_OUT_LJSPEECH, STORED_LOUDNESS, Clip

ENCODER_RATE = 16_000
LOUDNESS = 10 ** (-16 / 20)  # RMS, as recordings are normalised before a voice is trained
HELD_OUT_SYNTHETIC = 8
ANALYSIS = "acoustics.safetensors"  # in the corpus' folder: computed once


@dataclass(frozen=True)
class Utterance:
    """One clip ready for training."""

    clip: Clip
    wav: Tensor  # int16 [samples] at 32 kHz, a whole number of frames
    wav16: Tensor  # int16 [samples / 2] at 16 kHz
    acoustics: Acoustics
    phones: tuple[str, ...]
    phone_ids: Tensor  # int64 [phones]

    @property
    def frames(self) -> int:
        """How many frames of 20 ms."""
        return len(self.wav) // HOP


def load_utterances(folder: Path, clips: list[Clip]) -> list[Utterance]:
    """Read the corpus once; at 32 and 16 kHz it takes about 100 kB per second of speech."""
    measured = load_file(folder / ANALYSIS) if (folder / ANALYSIS).exists() else {}
    fresh = not measured
    loaded = []
    for clip in clips:
        samples, _ = soundfile.read(folder / clip.audio, dtype="float32")
        wav = trim_to_tokens(torch.from_numpy(samples))
        wav16 = audio_functional.resample(wav, SAMPLE_RATE, ENCODER_RATE)
        if fresh:
            found = analyse(to_float(_to_int16(wav)), wav16)
            measured |= {
                f"{clip.id}/envelope": found.envelope.half(),
                f"{clip.id}/voiced": found.voiced,
                f"{clip.id}/pitch": found.pitch,
            }
        acoustics = Acoustics(
            measured[f"{clip.id}/envelope"].float(), measured[f"{clip.id}/voiced"], measured[f"{clip.id}/pitch"]
        )
        phones = phonemize(clip.text, "en").phones
        ids = torch.tensor(phone_ids(phones))
        loaded.append(Utterance(clip, _to_int16(wav), _to_int16(wav16), acoustics, phones, ids))
    if fresh:
        partial = folder / f"{ANALYSIS}.partial"
        save_file(measured, partial)
        partial.replace(folder / ANALYSIS)
    return loaded


def _to_int16(wav: Tensor) -> Tensor:
    return (wav * 32767).round().clamp(-32768, 32767).to(torch.int16)


def trim_to_tokens(wav: Tensor) -> Tensor:
    """Cut samples at 32 kHz to a whole number of tokens, of two frames each."""
    return wav[: len(wav) // (2 * HOP) * (2 * HOP)]


def to_float(wav: Tensor) -> Tensor:
    """Turn stored int16 samples to float32 at the loudness of training; peaks may exceed 1."""
    return wav.float() * (LOUDNESS / STORED_LOUDNESS / 32768)


def split(utterances: list[Utterance]) -> tuple[list[Utterance], list[Utterance]]:
    """Return training set and held-out set: the last clips of LJ Speech and of flite.

    A recording that is held out is so at every playback rate.
    """
    recorded = [row for row in utterances if row.clip.speaker == "ljspeech"][-HELD_OUT_LJSPEECH:]
    synthetic = [row for row in utterances if row.clip.synthetic][-HELD_OUT_SYNTHETIC:]
    texts = {row.clip.text for row in [*recorded, *synthetic]}
    return [row for row in utterances if row.clip.text not in texts], [*recorded, *synthetic]
