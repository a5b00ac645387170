"""Networks with random weights and clips of noise: training costs the same whatever they hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from sovits_core.bundle.base import BaseDocument, HubertConfigDocument, open_base
from sovits_core.bundle.model_config import SynthesizerConfig, TextToSemanticConfig, s2_v2_pro
from sovits_core.features.recording import spectrogram
from sovits_core.formats.checkpoints import save_weights
from sovits_core.models import Synthesizer, TextToSemantic
from sovits_core.models.networks import Networks
from sovits_core.text.symbols import symbols_sha256
from voice_trainer.job.results import digest_of
from voice_trainer.recordings.audio import write_flac
from voice_trainer.recordings.clips import Clip, training_copy, write_clips
from voice_trainer.training.clip_features import ClipFeatures
from voice_trainer.training.examples import Example

TOKENS_PER_SECOND = 25
PHONES_PER_SECOND = 12


@dataclass(frozen=True)
class Sizes:
    """What is measured: the networks, and how much audio of how long clips."""

    name: str
    s1: TextToSemanticConfig
    s2: SynthesizerConfig
    audio_seconds: float
    clip_seconds: float
    batches: tuple[int, ...]
    timed_steps: int
    compared_steps: int
    epochs: int

    def networks(self) -> Networks:
        """Return both networks with random weights, the same ones each time."""
        torch.manual_seed(0)
        return Networks(TextToSemantic(self.s1), Synthesizer(self.s2))

    def examples(self) -> list[Example]:
        """Return clips of noise, as many as make up the audio."""
        generator = torch.Generator().manual_seed(1)
        tokens = round(self.clip_seconds * TOKENS_PER_SECOND)
        samples = tokens * self.s2.sample_rate // TOKENS_PER_SECOND

        def one(number: int) -> Example:
            wav = 0.1 * torch.randn(samples, generator=generator)
            return Example(
                id=f"clip-{number:03d}",
                phones=torch.randint(0, 300, (round(self.clip_seconds * PHONES_PER_SECOND),), generator=generator),
                bert=None,
                tokens=torch.randint(0, self.s2.codebook_size, (tokens,), generator=generator),
                speaker_embedding=torch.randn(self.s2.speaker_embedding, generator=generator),
                spectrogram=spectrogram(wav, 2 * (self.s2.spectrogram_bins - 1), self.s2.hop),
                wav=wav,
            )

        return [one(number) for number in range(round(self.audio_seconds / self.clip_seconds))]


def official() -> Sizes:
    """The networks of v2Pro, and the 221.7 s of audio that the project's figures are about."""
    return Sizes("v2Pro", TextToSemanticConfig(), s2_v2_pro(), 221.7, 6.0, (1, 2, 4, 8, 16), 8, 30, 10)


def tiny() -> Sizes:
    """The embedded base's networks: small enough to know on a CPU that everything runs."""
    document = open_base("embedded:tiny").document
    return Sizes("tiny", document.s1, document.synthesizer, 16.0, 2.0, (1, 2), 2, 3, 1)


def write_base(folder: Path, sizes: Sizes) -> Path:
    """Write a base bundle that stage train can read; it has no speech encoder."""
    folder.mkdir(parents=True)
    networks = sizes.networks()
    save_weights(networks.s1, folder / "s1.safetensors")
    save_weights(networks.s2, folder / "s2g.safetensors")
    document = BaseDocument(
        name=f"random-{sizes.name}",
        version="v2Pro" if sizes.s2.speaker_vector else "v2",
        sample_rate=sizes.s2.sample_rate,
        languages=("en",),
        symbols_sha256=symbols_sha256(),
        s1=sizes.s1,
        s2=sizes.s2,
        hubert=HubertConfigDocument(hidden=sizes.s2.ssl_dim),
        files={name: digest_of(folder / name).model_dump() for name in ("s1.safetensors", "s2g.safetensors")},
    )
    (folder / "base.json").write_text(document.model_dump_json(by_alias=True), encoding="utf-8")
    return folder


def write_prepared(prepared: Path, features: Path, sizes: Sizes) -> None:
    """Write what stages prepare and features leave in their folders."""
    clips = []
    for example in sizes.examples():
        write_flac(training_copy(prepared, example.id), example.wav.numpy(), sizes.s2.sample_rate)
        ClipFeatures(example.phones, None, example.tokens, example.speaker_embedding).save(features, example.id)
        clips.append(
            Clip(
                id=example.id,
                text="noise",
                phones=(),
                seconds=sizes.clip_seconds,
                speech_seconds=sizes.clip_seconds,
                snr_db=0.0,
                rms_dbfs=-20.0,
                held_out=False,
            )
        )
    write_clips(prepared, clips)
