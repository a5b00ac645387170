"""Our own weight files: a module's state under our names, loaded strictly with every mismatch named."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from sovits_core.errors import CheckpointMismatch
from sovits_core.models.normed import fold_weight_norm


def save_weights(module: nn.Module, path: Path, dtype: torch.dtype = torch.float16) -> None:
    """Write a module's state under our names; floating tensors are stored as `dtype`."""
    state = {
        key: (tensor.detach().to(dtype) if tensor.is_floating_point() else tensor.detach()).cpu().contiguous()
        for key, tensor in module.state_dict().items()
    }
    save_file(state, path)


def load_weights(module: nn.Module, path: Path) -> None:
    """Fill a module from a file of `save_weights`; it is folded first where the file is.

    Raises:
        CheckpointMismatch: the file cannot be read, or its keys or shapes are not the module's.
    """
    try:
        with safe_open(path, framework="pt") as file:
            stored = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
            if not any(".parametrizations." in key for key in stored):
                fold_weight_norm(module)
            own = {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}
            compare_shapes(path.name, own, stored)
            module.load_state_dict({key: file.get_tensor(key) for key in own})
    except (OSError, SafetensorError) as error:
        raise CheckpointMismatch(path.name, [f"it is not a readable safetensors file ({error})"]) from error


def compare_shapes(what: str, expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]]) -> None:
    """Raise CheckpointMismatch, naming every missing or unknown key and every shape that differs."""
    if differences := shape_differences(expected, found):
        raise CheckpointMismatch(what, differences)


def shape_differences(expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]]) -> list[str]:
    """Name every missing or unknown key and every shape that differs."""
    differences = [f"{key} is missing" for key in expected if key not in found]
    differences += [f"{key} is unknown" for key in found if key not in expected]
    differences += [
        f"{key} has shape {list(found[key])} instead of {list(shape)}"
        for key, shape in expected.items()
        if key in found and found[key] != shape
    ]
    return differences
