"""Checkpoints in the store: the next attempt continues an interrupted training."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from voice_store import NotFound, TooLarge
from voice_trainer.job.workspace import Workspace
from voice_trainer.training.finetune import Finetuner

logger = logging.getLogger(__name__)

KEY = "train/checkpoint.safetensors"
LIMIT = 1024 * 1024 * 1024  # bytes; three times an adapter of the highest rank
TAG = "tag"  # of the metadata: which attempt wrote it
MOMENTS = ("exp_avg", "exp_avg_sq", "step")  # of AdamW

Curves = list[tuple[float, ...]]


def save_checkpoint(
    workspace: Workspace, finetuner: Finetuner, identity: dict[str, str], curves: Sequence[Sequence[float]]
) -> None:
    """Put adapter, optimiser state and curves into the store; one row of ``curves`` per step that is done."""
    tensors = {}
    for name, parameter in finetuner.parameters.items():
        tensors[f"value/{name}"] = parameter.detach().cpu().contiguous()
        for moment in MOMENTS:
            if moment in (state := finetuner.optimizer.state[parameter]):
                tensors[f"{moment}/{name}"] = state[moment].detach().cpu().contiguous()
    path = workspace.scratch / "checkpoint.safetensors"
    metadata = {**identity, "curves": json.dumps([list(row) for row in curves])}
    save_file(tensors, path, metadata=metadata | {TAG: workspace.tag(_content(tensors, metadata))})
    workspace.store.upload(KEY, path)


def restore_checkpoint(workspace: Workspace, finetuner: Finetuner, identity: dict[str, str]) -> Curves:
    """Load the checkpoint of the same training, if there is one, and return its curves; else an empty list.

    ``identity`` names everything that decides the course of a training; a checkpoint with another one is left alone,
    and so is one that no attempt of this stage wrote.
    """
    path = workspace.scratch / "checkpoint.safetensors"
    try:
        workspace.store.download(KEY, path, limit=LIMIT)
    except NotFound:
        return []
    except TooLarge as error:
        logger.warning("the checkpoint is not used: %s", error)
        return []
    try:
        with safe_open(path, framework="pt") as file:
            metadata: dict[str, Any] = file.metadata() or {}
            if {name: metadata.get(name) for name in identity} != identity:
                logger.info("the checkpoint belongs to another training and is not used")
                return []
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 -- safe_open is no dict
            tag = metadata.pop(TAG, "")
            if not workspace.is_own(_content(tensors, metadata), tag):
                logger.warning("no attempt of this stage wrote the checkpoint, so it is not used")
                return []
            curves = [tuple(map(float, row)) for row in json.loads(metadata["curves"])]
            _restore(finetuner, tensors)
    except (SafetensorError, KeyError, ValueError, TypeError, RuntimeError) as error:
        logger.warning("the checkpoint is damaged and is not used: %s", error)
        return []
    return curves


def _content(tensors: dict[str, torch.Tensor], metadata: dict[str, str]) -> str:
    """Return the SHA-256 over names, shapes, types and values of all tensors, and over the metadata."""
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _restore(finetuner: Finetuner, tensors: dict[str, torch.Tensor]) -> None:
    values = {name: tensors[f"value/{name}"] for name in finetuner.parameters}
    state = {
        index: {moment: tensors[f"{moment}/{name}"] for moment in MOMENTS if f"{moment}/{name}" in tensors}
        for index, name in enumerate(finetuner.parameters)
    }
    if any(value.shape != finetuner.parameters[name].shape for name, value in values.items()):
        raise ValueError("a tensor has another shape than the adapter's")
    groups = finetuner.optimizer.state_dict()["param_groups"]
    finetuner.optimizer.load_state_dict({"state": state, "param_groups": groups})
    with torch.no_grad():
        for name, value in values.items():
            finetuner.parameters[name].copy_(value)
