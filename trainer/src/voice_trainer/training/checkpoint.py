"""Checkpoints in the store: the next attempt continues an interrupted training."""

from __future__ import annotations

import hashlib
import json
import logging
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from voice_store import NotFound, TooLarge
from voice_trainer.job.workspace import Workspace
from voice_trainer.training.course import Course
from voice_trainer.training.finetune import Finetuner

logger = logging.getLogger(__name__)

KEY = "train/checkpoint.safetensors"
LIMIT = 1024 * 1024 * 1024  # bytes; three times an adapter of the highest rank
TAG = "tag"  # of the metadata: which attempt wrote it
DIGEST = "digest"  # of the metadata: SHA-256 of all else
MOMENTS = ("exp_avg", "exp_avg_sq", "step")  # of AdamW


def save_checkpoint(workspace: Workspace, finetuner: Finetuner, identity: dict[str, str], course: Course) -> None:
    """Put adapter, optimiser state and course into the store."""
    tensors = {f"best/{name}": value.cpu().contiguous() for name, value in course.best.items()}
    for name, parameter in finetuner.parameters.items():
        tensors[f"value/{name}"] = parameter.detach().cpu().contiguous()
        for moment in MOMENTS:
            if moment in (state := finetuner.optimizer.state[parameter]):
                tensors[f"{moment}/{name}"] = state[moment].detach().cpu().contiguous()
    path = workspace.scratch / "checkpoint.safetensors"
    metadata = {
        **identity,
        "curves": json.dumps([list(row) for row in course.curves]),
        "aside": json.dumps(course.aside),
        "seconds": json.dumps(course.seconds),
        "scaler": json.dumps(finetuner.precision.scaler.state_dict()),
    }
    content = _content(tensors, metadata)
    save_file(tensors, path, metadata=metadata | {DIGEST: content, TAG: workspace.tag(content)})
    workspace.store.upload(KEY, path)


def restore_checkpoint(workspace: Workspace, finetuner: Finetuner, identity: dict[str, str]) -> Course:
    """Load the checkpoint of the same training, if there is one, and return its course; else one that has not begun.

    ``identity`` names everything that decides the course of a training; a checkpoint with another one is left alone,
    and so is one that no attempt of this stage wrote, whose digest is another, or whose optimiser has done another
    number of steps than its curves.
    """
    path = workspace.scratch / "checkpoint.safetensors"
    try:
        workspace.store.download(KEY, path, limit=LIMIT)
    except NotFound:
        return Course()
    except TooLarge as error:
        logger.warning("the checkpoint is not used: %s", error)
        return Course()
    try:
        with safe_open(path, framework="pt") as file:
            metadata: dict[str, Any] = file.metadata() or {}
            if {name: metadata.get(name) for name in identity} != identity:
                logger.info("the checkpoint belongs to another training and is not used")
                return Course()
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 -- safe_open is no dict
            tag, digest = metadata.pop(TAG, ""), metadata.pop(DIGEST, "")
            content = _content(tensors, metadata)
            _require_digest(content, digest)
            if not workspace.is_own(content, tag):
                logger.warning("no attempt of this stage wrote the checkpoint, so it is not used")
                return Course()
            course = Course(
                curves=[tuple(map(float, row)) for row in json.loads(metadata["curves"])],
                aside=[float(loss) for loss in json.loads(metadata["aside"])],
                best={name: tensors[f"best/{name}"] for name in finetuner.parameters if f"best/{name}" in tensors},
                seconds=float(json.loads(metadata["seconds"])),
            )
            _require_steps(tensors, len(course.curves), exact=not finetuner.precision.scaler.is_enabled())
            scale = json.loads(metadata["scaler"])
            _restore(finetuner, tensors)
            if scale:  # else it was of another precision, and scaling begins anew
                finetuner.precision.scaler.load_state_dict(scale)
    except torch.OutOfMemoryError:
        raise
    except (SafetensorError, KeyError, ValueError, TypeError, RuntimeError) as error:
        logger.warning("the checkpoint is damaged and is not used: %s", error)
        return Course()
    return course


def _content(tensors: dict[str, torch.Tensor], metadata: dict[str, str]) -> str:
    """Return the SHA-256 over names, shapes, types and values of all tensors, and over the metadata."""
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _require_digest(content: str, digest: str) -> None:
    if content != digest:
        raise ValueError("its digest is not that of its content")


def _require_steps(tensors: dict[str, torch.Tensor], steps: int, *, exact: bool) -> None:
    """Check that the optimiser has done that many steps; gradient scaling may have left some out."""
    done = {int(value) for name, value in tensors.items() if name.startswith("step/")}
    if not done or max(done) > steps or (exact and done != {steps}):
        raise ValueError(f"its optimiser has done {sorted(done)} steps, and its curves have {steps}")


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
