"""Stage train: fit a LoRA adapter to the clips that are not held out."""

from __future__ import annotations

import csv
import hashlib
import logging
import resource
from collections.abc import Sequence
from pathlib import Path

import torch

from sovits_core.bundle.model_config import SynthesizerConfig
from sovits_core.errors import AdapterRejected
from sovits_core.features.recording import spectrogram
from sovits_core.formats.adapters import attach_adapter, save_adapter
from voice_trainer.job.document import TrainingJob
from voice_trainer.job.results import Summary
from voice_trainer.job.workspace import Workspace
from voice_trainer.recordings.audio import read_flac
from voice_trainer.recordings.clips import read_clips, training_copy
from voice_trainer.training.checkpoint import restore_checkpoint, save_checkpoint
from voice_trainer.training.clip_features import load_clip_features
from voice_trainer.training.course import LOSSES, EpochLosses, epochs_of, split
from voice_trainer.training.examples import Example
from voice_trainer.training.finetune import Finetuner, diverged, learning_rates
from voice_trainer.training.loop import Loop
from voice_trainer.training.networks import choose_device, load_networks
from voice_trainer.training.precision import choose_precision
from voice_trainer.training.recompute import recompute_activations, wants_recomputation

logger = logging.getLogger(__name__)

CURVES = "curves.csv"
COLUMNS = ("epoch", *LOSSES)  # one row per step
EPOCHS = "epochs.csv"
MIB = 1024 * 1024


def train(job: TrainingJob, workspace: Workspace) -> Summary:
    """Train the adapter, write it in PEFT's layout with the curves of its losses.

    The same job on the same CPU gives the same adapter, also when it was interrupted and continued.

    Raises:
        BadData: ``TrainingDiverged``; the learning rate is too high for these recordings.
        Interrupted: SIGTERM arrived; a checkpoint is in the store.
    """
    settings, device = job.training, choose_device(job.compute.device)
    base = workspace.base_of_features()
    finetuning = base.document.finetuning
    networks = load_networks(base, device)
    model = attach_adapter(networks, settings.rank, settings.targets, settings.seed).to(device)
    recomputing = wants_recomputation(job.compute.gradient_checkpointing, job.attempt.batch_size_divisor)
    if recomputing:
        recompute_activations(networks)
    learnt, aside = split(load_examples(workspace, networks.s2.config), settings.patience, settings.seed)
    precision = choose_precision(settings.precision, device)
    rates = learning_rates(settings.learning_rate, finetuning, settings.learning_rate_s1, settings.learning_rate_s2)
    finetuner = Finetuner(model, networks, rates, finetuning, precision)
    identity = {
        "inputHash": job.input_hash,
        "baseDigest": base.digest,
        "training": settings.model_dump_json(),
        "batchSize": str(settings.batch_size),
        "examples": hashlib.sha256("\n".join(example.id for example in [*learnt, *aside]).encode()).hexdigest(),
    }
    course = restore_checkpoint(workspace, finetuner, identity)
    already, seconds_before = len(course.curves), course.seconds
    if already:
        logger.info("train: continuing after step %d", already)
    model.train()
    loop = Loop(
        job,
        finetuner,
        learnt,
        aside,
        course,
        save=lambda: save_checkpoint(workspace, finetuner, identity, course),
    )
    with workspace.termination.deferred():
        loop.run(workspace.termination, workspace.progress("train"))
    loop.keep_best()
    folder = workspace.folder("train")
    try:
        save_adapter(model, folder)
    except AdapterRejected as error:
        raise diverged(str(error), rates) from error
    epochs = epochs_of(course)
    write_curves(folder / CURVES, course.curves)
    write_epochs(folder / EPOCHS, epochs)
    kept = epochs[course.aside.index(min(course.aside))] if course.aside else epochs[-1]
    clips = sum(len(batch) for _, batch in loop.plan()[already : len(course.curves)])
    return {
        "epochs": len(epochs),
        "keptEpoch": kept.epoch,
        "steps": len(course.curves),
        "examples": len(learnt),
        "setAside": len(aside),
        "batchSize": settings.batch_size,
        "microBatchSize": job.micro_batch_size,
        "parameters": sum(parameter.numel() for parameter in finetuner.parameters.values()),
        "losses": {name: f"{mean:.4f}" for name, mean in kept.means.items()},
        "device": device.type,
        "precision": precision.name,
        "gradientCheckpointing": recomputing,
        "trainSeconds": f"{course.seconds:.1f}",
        **({"gpuSeconds": f"{course.seconds:.1f}"} if device.type == "cuda" else {}),
        "peakMemoryMiB": peak_memory(device) // MIB,
        "clipsPerSecond": f"{clips / max(course.seconds - seconds_before, 1e-3):.2f}",
    }


def peak_memory(device: torch.device) -> int:
    """Return the most bytes that this process has had: of the GPU's memory, or without one of the machine's."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def load_examples(workspace: Workspace, config: SynthesizerConfig) -> list[Example]:
    """Return the clips to learn from, in the order of the transcripts."""
    prepared, features = workspace.results("prepare"), workspace.results("features")
    examples = []
    for clip in read_clips(prepared):
        if clip.held_out:
            continue
        wav = torch.from_numpy(read_flac(training_copy(prepared, clip.id)))
        spec = spectrogram(wav, 2 * (config.spectrogram_bins - 1), config.hop)
        found = load_clip_features(features, clip.id)
        examples.append(Example(clip.id, found.phones, found.bert, found.tokens, found.speaker_embedding, spec, wav))
    return examples


def write_curves(path: Path, curves: Sequence[Sequence[float]]) -> None:
    """Write one line per step under a heading."""
    with path.open("w", newline="", encoding="utf-8") as target:
        writer = csv.writer(target, lineterminator="\n")
        writer.writerow(("step", *COLUMNS))
        for step, row in enumerate(curves, start=1):
            writer.writerow((step, int(row[0]), *(f"{value:.5f}" for value in row[1:])))


def write_epochs(path: Path, epochs: Sequence[EpochLosses]) -> None:
    """Write one line per epoch: mean and standard deviation of each loss over its steps, and the loss set aside."""
    with path.open("w", newline="", encoding="utf-8") as target:
        writer = csv.writer(target, lineterminator="\n")
        names = [column for name in LOSSES for column in (name, f"{name}Deviation")]
        writer.writerow(("epoch", "steps", *names, "aside"))
        for one in epochs:
            values = [value for name in LOSSES for value in (one.means[name], one.deviations[name])]
            aside = "" if one.aside is None else f"{one.aside:.5f}"
            writer.writerow((one.epoch, one.steps, *(f"{value:.5f}" for value in values), aside))
