"""Copy synthesis of recordings, and prompts of flite's voices, with the base's torch networks."""

from __future__ import annotations

from pathlib import Path

import torch

from dev.voice_bench import flite
from dev.voice_bench.audio import RATE, Wave
from dev.voice_bench.training import LANGUAGE
from sovits_core.bundle.base import BaseBundle
from sovits_core.features.recording import spectrogram
from sovits_core.text import phonemize
from sovits_core.text.symbols import phone_ids
from voice_trainer.evaluation.synthesis import Prompt
from voice_trainer.job.base import JobBase
from voice_trainer.recordings.audio import resample
from voice_trainer.recordings.examination import LOUDNESS
from voice_trainer.recordings.loudness import level_to
from voice_trainer.training.networks import load_encoders, load_networks
from voice_trainer.training.tokens import tokenizer_for

SEED = 7


class TorchBase:
    """The base's networks, on one thread of the CPU."""

    def __init__(self, base: BaseBundle) -> None:
        torch.set_num_threads(1)
        device = torch.device("cpu")
        opened = JobBase(base.folder.absolute().as_uri(), base.digest, base.folder)
        self._symbols = base.document.symbols
        self._networks = load_networks(opened, device)
        self._encoders = load_encoders(opened, LANGUAGE, device)
        self._tokenizer = tokenizer_for(base.document.tokens, self._networks.s2, self._encoders.hubert, LANGUAGE)
        self.sample_rate = base.document.sample_rate

    @torch.no_grad()
    def copy16(self, wav: Wave) -> Wave:
        """Resynthesize a recording with posterior encoder and waveform generator alone: the upper bound of any prior.

        Args:
            wav: (samples) at the base's rate.

        Returns:
            (samples) at 16 kHz, of the same length up to a frame.
        """
        s2 = self._networks.s2
        recording = torch.from_numpy(wav)
        speaker_embedding = self._encoders.speaker_embedding(s2, recording)[None, :, None]
        spec = spectrogram(recording, 2 * (s2.config.spectrogram_bins - 1), s2.config.hop)[None]  # (1, bins, frames)
        mask = torch.ones(1, 1, spec.shape[2])
        noise = torch.randn(1, s2.config.latent, spec.shape[2], generator=torch.Generator().manual_seed(SEED))
        z, _, _ = s2.posterior(spec, mask, speaker_embedding, noise)
        return resample(s2.waveform_generator(z * mask, speaker_embedding)[0, 0].numpy(), self.sample_rate, RATE)

    @torch.no_grad()
    def write_flite_prompt(self, voice: str, path: Path) -> None:
        """Write the prompt.safetensors of a flite voice, one of the base's training speakers."""
        spoken = resample(flite.synthesize(flite.PROMPT, voice), RATE, self.sample_rate)
        wav, _ = level_to(spoken, self.sample_rate, LOUDNESS)
        recording = torch.from_numpy(wav)
        phones = phonemize(flite.PROMPT, LANGUAGE, self._symbols).phones
        path.parent.mkdir(parents=True, exist_ok=True)
        Prompt(
            tokens=self._tokenizer.prompt(recording, flite.PROMPT, phones).values,
            phones=torch.tensor(phone_ids(phones, self._symbols)),
            bert=None,
            speaker_embedding=self._encoders.speaker_embedding(self._networks.s2, recording),
        ).save(path)
