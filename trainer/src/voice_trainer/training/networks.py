"""The base's networks and encoders on the device of the job."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import HubertModel
from transformers.utils.logging import disable_progress_bar

from sovits_core.bundle.base import TEXT_ENCODER
from sovits_core.bundle.model_config import SpeakerEncoderConfig
from sovits_core.features.recording import load_hubert, spectrogram
from sovits_core.features.speaker import speaker_vector
from sovits_core.features.text import TextEncoder, load_bert, text_features
from sovits_core.formats.checkpoints import load_weights
from sovits_core.models import SpeakerEncoder, Synthesizer, TextToSemantic
from sovits_core.models.networks import Networks
from sovits_core.text import Phonemes
from voice_trainer.errors import Refused
from voice_trainer.job.base import JobBase
from voice_trainer.training.threads import compute_threads


def choose_device(asked: str) -> torch.device:
    """Return the device for ``auto``, ``cpu`` or ``cuda``, and set how many threads work on the CPU.

    ``OMP_NUM_THREADS`` in the environment overrides our own choice of threads.

    Raises:
        Refused: ``GpuMissing``, when a GPU is asked for and there is none.
    """
    available = torch.cuda.is_available()
    if asked == "cuda" and not available:
        raise Refused(
            "compute.device is cuda, but this machine offers no CUDA device; use auto or cpu", reason="GpuMissing"
        )
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(compute_threads())
    return torch.device("cuda" if available and asked != "cpu" else "cpu")


def load_networks(base: JobBase, device: torch.device) -> Networks:
    """Return both networks of the base, in float32 and evaluation mode.

    Raises:
        BaseRejected, CheckpointMismatch: a file of the base is damaged or does not fit its configuration.
    """
    s1, s2 = TextToSemantic(base.document.s1), Synthesizer(base.document.synthesizer)
    load_weights(s1, base.path("s1.safetensors"))
    load_weights(s2, base.path("s2g.safetensors"))
    return Networks(s1, s2).to(device).eval()


@dataclass(frozen=True)
class Encoders:
    """The frozen encoders of recordings and texts, whose outputs the base's own networks take."""

    hubert: HubertModel
    speaker: SpeakerEncoder | None
    """Of a base whose speaker embedding takes a speaker verification vector (the Pro family)."""
    text: TextEncoder | None
    """Of a base that has one, where the job's language uses it."""

    def speaker_embedding(self, s2: Synthesizer, wav: Tensor) -> Tensor:
        """Return the speaker embedding (gin) of (samples) at the base's sample rate, on the networks' device."""
        config = s2.config
        spec = spectrogram(wav, 2 * (config.spectrogram_bins - 1), config.hop)
        vector = None if self.speaker is None else speaker_vector(self.speaker, wav, config.sample_rate)
        return s2.speaker_embedding(spec[None], sv=vector)[0, :, 0]

    def text_features(self, found: Phonemes) -> Tensor | None:
        """Return (phones, width) on the CPU, or ``None``, which stands for zeros."""
        return None if self.text is None else text_features(self.text, found.segments).cpu()


def load_encoders(base: JobBase, language: str, device: torch.device) -> Encoders:
    """Return the base's encoders, as far as a job in this language needs them.

    Raises:
        BaseRejected, CheckpointMismatch: a file of the base is missing, damaged or does not fit its configuration.
    """
    # In a pod's log a progress bar is a hundred lines of nothing.
    disable_progress_bar()  # type: ignore[no-untyped-call]
    document = base.document
    hubert: HubertModel = load_hubert(base.folder("hubert"))
    hubert.to(device)  # type: ignore[arg-type]  # transformers types ``to`` as a wrapper
    speaker = None
    if document.synthesizer.speaker_vector is not None:
        speaker = SpeakerEncoder(document.speaker or SpeakerEncoderConfig())
        load_weights(speaker, base.path("sv/model.safetensors"))
        speaker.to(device).eval()
    text = None
    if language == "zh" and document.has_folder(TEXT_ENCODER):
        text = load_bert(base.folder(TEXT_ENCODER))
        text.model.to(device)  # type: ignore[arg-type]  # as above
    return Encoders(hubert, speaker, text)
