"""Plain weights to the official pair of length and direction, which the official networks are built with."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

LENGTH, DIRECTION = "weight_g", "weight_v"


def split_weight_norm(weights: Mapping[str, Tensor], wanted: Iterable[str]) -> dict[str, Tensor]:
    """Split each `<layer>.weight` for which `wanted` has `<layer>.weight_g`; all else stays.

    The direction is the weight itself and the length its norm over all dimensions but the first (which is the input
    channel in a transposed convolution), so that length * direction / norm gives the weight back exactly. A weight of
    nothing but zeros has no direction: it points anywhere at length zero, or the reader would divide by zero.

    Args:
        weights: under official names.
        wanted: the official names that the reader expects.
    """
    layers = {key.removesuffix(LENGTH) for key in wanted if key.endswith(f".{LENGTH}")}
    split: dict[str, Tensor] = {}
    for key, weight in weights.items():
        layer = key.removesuffix("weight")
        if layer in layers and layer != key:
            length = length_of(weight)
            split[layer + LENGTH] = length
            split[layer + DIRECTION] = torch.where(length == 0, torch.ones_like(weight), weight)
        else:
            split[key] = weight
    return split


def join_weight_norm(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The reverse: one plain float32 `<layer>.weight` for each pair."""
    joined: dict[str, Tensor] = {}
    for key, tensor in weights.items():
        layer = key.removesuffix(LENGTH)
        if key.endswith(f".{LENGTH}") and layer + DIRECTION in weights:
            direction = weights[layer + DIRECTION].float()
            joined[layer + "weight"] = tensor.float() * direction / length_of(direction)
        elif not (key.endswith(f".{DIRECTION}") and key.removesuffix(DIRECTION) + LENGTH in weights):
            joined[key] = tensor
    return joined


def length_of(weight: Tensor) -> Tensor:
    """Norm of (first, ...) over all dimensions but the first, as (first, 1, ...), in the weight's type."""
    norm: Tensor = torch.linalg.vector_norm(weight.float(), dim=tuple(range(1, weight.ndim)), keepdim=True)
    return norm.to(weight.dtype)
