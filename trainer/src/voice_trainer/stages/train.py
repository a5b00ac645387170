"""Stage train: fit a LoRA adapter to the clips that are not held out."""

from __future__ import annotations

import csv
import hashlib
import logging
import random
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from sovits_core.bundle.model_config import SynthesizerConfig
from sovits_core.errors import AdapterRejected
from sovits_core.features.recording import spectrogram
from sovits_core.formats.adapters import attach_adapter, save_adapter
from voice_trainer.errors import Interrupted
from voice_trainer.job.document import TrainingJob
from voice_trainer.job.results import Summary
from voice_trainer.job.workspace import Workspace
from voice_trainer.recordings.audio import read_flac
from voice_trainer.recordings.clips import read_clips, training_copy
from voice_trainer.training.checkpoint import Curves, restore_checkpoint, save_checkpoint
from voice_trainer.training.clip_features import load_clip_features
from voice_trainer.training.examples import Example, collate, epoch_order
from voice_trainer.training.finetune import Finetuner, diverged
from voice_trainer.training.networks import choose_device, load_networks

logger = logging.getLogger(__name__)

CURVES = "curves.csv"
COLUMNS = ("epoch", "semantic", "kl", "mel")  # one row per step
SECONDS_BETWEEN_CHECKPOINTS = 20.0


def train(job: TrainingJob, workspace: Workspace) -> Summary:
    """Train the adapter, write it in PEFT's layout with the curves of its losses.

    The same job on the same CPU gives the same adapter, also when it was interrupted and continued.

    Raises:
        BadData: ``TrainingDiverged``; the learning rate is too high for these recordings.
        Interrupted: SIGTERM arrived; a checkpoint is in the store.
    """
    device = choose_device(job.compute.device)
    base = workspace.base_of_features()
    networks = load_networks(base, device)
    model = attach_adapter(networks, job.training.rank, job.training.targets, job.training.seed).to(device)
    examples = load_examples(workspace, networks.s2.config)
    finetuner = Finetuner(model, networks, job.training.learning_rate, base.document.finetuning)
    identity = {
        "inputHash": job.input_hash,
        "baseDigest": base.digest,
        "training": job.training.model_dump_json(),
        "batchSize": str(job.batch_size),
        "examples": hashlib.sha256("\n".join(example.id for example in examples).encode()).hexdigest(),
    }
    curves = restore_checkpoint(workspace, finetuner, identity)
    if curves:
        logger.info("train: continuing after step %d", len(curves))
    model.train()
    started = time.monotonic()
    with workspace.termination.deferred():
        steps = _run(job, workspace, finetuner, examples, identity, curves)
    seconds = time.monotonic() - started
    folder = workspace.folder("train")
    try:
        save_adapter(model, folder)
    except AdapterRejected as error:
        raise diverged(str(error), job.training.learning_rate) from error
    write_curves(folder / CURVES, curves)
    workspace.store.delete("train/checkpoint.safetensors")
    last_epoch = curves[-max(1, steps // job.training.epochs) :]
    means = [sum(row[column] for row in last_epoch) / len(last_epoch) for column in range(1, len(COLUMNS))]
    return {
        "epochs": job.training.epochs,
        "steps": steps,
        "examples": len(examples),
        "batchSize": job.batch_size,
        "parameters": sum(parameter.numel() for parameter in finetuner.parameters.values()),
        "losses": {name: f"{mean:.4f}" for name, mean in zip(COLUMNS[1:], means, strict=True)},
        "device": device.type,
        "trainSeconds": f"{seconds:.1f}",
    }


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


def read_curves(path: Path) -> dict[str, list[tuple[float, float]]]:
    """Return ``(step, value)`` pairs by the name of the loss."""
    with path.open(newline="", encoding="utf-8") as source:
        rows = list(csv.DictReader(source))
    return {name: [(float(row["step"]), float(row[name])) for row in rows] for name in COLUMNS[1:]}


def _run(  # noqa: PLR0917 -- one call, each of its own type
    job: TrainingJob,
    workspace: Workspace,
    finetuner: Finetuner,
    examples: list[Example],
    identity: dict[str, str],
    curves: Curves,
) -> int:
    """Do the steps that ``curves`` does not have yet, adding a row for each; returns how many there are in all."""
    seed, device = job.training.seed, next(iter(finetuner.parameters.values())).device
    lengths = [len(example.tokens) for example in examples]
    epochs = range(job.training.epochs)
    plan = [(epoch, batch) for epoch in epochs for batch in epoch_order(lengths, job.batch_size, seed, epoch)]
    already, stored = len(curves), time.monotonic()
    progress = workspace.progress("train")
    for step, (epoch, indices) in enumerate(plan[already:], start=already):
        if workspace.termination.received():
            save_checkpoint(workspace, finetuner, identity, curves)
            raise Interrupted
        # Each step draws from its own seed, so that a continued training takes the same course as an unbroken one.
        torch.manual_seed(seed * 1_000_003 + step)  # dropout draws from the process-wide generator
        generator = torch.Generator(device).manual_seed(seed * 1_000_003 + step)
        rng = random.Random(f"{seed}/timbre/{step}")  # noqa: S311 -- repeatable, not secret
        # The speaker embedding of the clip itself would leak its content; a voice is conditioned on that of its prompt.
        speaker_embeddings = [rng.choice(examples).speaker_embedding for _ in indices]
        batch = collate([examples[index] for index in indices], speaker_embeddings, device)
        losses = finetuner.step(batch, generator)
        curves.append((float(epoch + 1), losses.semantic, losses.kl, losses.mel))
        progress.report(
            step + 1,
            len(plan),
            already=already,
            epoch=epoch + 1,
            metrics={"semantic": losses.semantic, "kl": losses.kl, "mel": losses.mel},
        )
        if time.monotonic() - stored > SECONDS_BETWEEN_CHECKPOINTS:
            save_checkpoint(workspace, finetuner, identity, curves)
            stored = time.monotonic()
    return len(plan)
