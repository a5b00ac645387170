"""The base's networks on the device of the job."""

from __future__ import annotations

import os

import torch
from transformers import HubertModel
from transformers.utils.logging import disable_progress_bar

from sovits_core.checkpoints import load_weights
from sovits_core.features import load_hubert
from sovits_core.models import Synthesizer, TextToSemantic
from sovits_core.networks import Networks
from voice_trainer.base import JobBase
from voice_trainer.cores import usable_threads, visible_cores
from voice_trainer.errors import Refused


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
        torch.set_num_threads(usable_threads(visible_cores()))
    return torch.device("cuda" if available and asked != "cpu" else "cpu")


def load_networks(base: JobBase, device: torch.device) -> Networks:
    """Return both networks of the base, in float32 and evaluation mode.

    Raises:
        BaseRejected, CheckpointMismatch: a file of the base is damaged or does not fit its configuration.
    """
    s1, s2 = TextToSemantic(base.document.s1), Synthesizer(base.document.s2)
    load_weights(s1, base.path("s1.safetensors"))
    load_weights(s2, base.path("s2g.safetensors"))
    return Networks(s1, s2).to(device).eval()


def load_speech_encoder(base: JobBase, device: torch.device) -> HubertModel:
    """Return the base's HuBERT, frozen."""
    # A bar in the log of a pod is a hundred lines of nothing.
    disable_progress_bar()  # type: ignore[no-untyped-call]
    hubert: HubertModel = load_hubert(base.folder("hubert"))
    hubert.to(device)  # type: ignore[arg-type]  # transformers types ``to`` as a wrapper
    return hubert
