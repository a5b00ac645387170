"""Inputs of the evaluation: the trained voice, and the clips with their features."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import PeftModel

from sovits_core.formats.adapters import load_adapter
from sovits_core.models.networks import Networks
from voice_trainer.job.base import JobBase
from voice_trainer.job.workspace import Workspace
from voice_trainer.recordings.audio import read_flac
from voice_trainer.recordings.clips import Clip, analysis_samples, read_clips, training_copy
from voice_trainer.recordings.decoding import Samples
from voice_trainer.training.clip_features import ClipFeatures, load_clip_features
from voice_trainer.training.networks import load_networks


@dataclass(frozen=True)
class TrainedVoice:
    """The base's networks with the trained adapter, in evaluation mode."""

    networks: Networks
    adapter: PeftModel
    device: torch.device

    def without_adapter(self) -> AbstractContextManager[None]:
        """Within this block the networks are the base's alone."""
        return self.adapter.disable_adapter()


@dataclass(frozen=True)
class FeaturedClip:
    """A prepared clip with its features; its sound is read where it is needed."""

    clip: Clip
    features: ClipFeatures
    prepared: Path
    """The folder of stage prepare."""

    def recording(self) -> Samples:
        """Return the recording at 16 kHz."""
        return analysis_samples(self.prepared, self.clip)

    def training_recording(self) -> Samples:
        """Return the recording at the base's sample rate."""
        return read_flac(training_copy(self.prepared, self.clip.id))


def load_voice(base: JobBase, adapter_folder: Path, device: torch.device) -> TrainedVoice:
    """Load the base's networks and attach the adapter of stage train.

    Raises:
        BaseRejected, CheckpointMismatch: a file of the base is damaged or does not fit its configuration.
        AdapterRejected: the adapter does not fit the base.
    """
    networks = load_networks(base, device)
    adapter = load_adapter(networks, adapter_folder).to(device).eval()
    return TrainedVoice(networks, adapter, device)


def load_clips(workspace: Workspace) -> tuple[FeaturedClip, ...]:
    """Return all clips of the dataset with their features, in the order of the transcripts."""
    prepared, features = workspace.results("prepare"), workspace.results("features")
    return tuple(FeaturedClip(clip, load_clip_features(features, clip.id), prepared) for clip in read_clips(prepared))
