"""Masks from lengths: 1 on real frames, 0 on padding."""

import torch
from torch import Tensor


def length_mask(lengths: Tensor, size: int) -> Tensor:
    """lengths: (batch) -> bool (batch, size), true before each row's length."""
    return torch.arange(size, device=lengths.device)[None, :] < lengths[:, None]


def frame_mask(like: Tensor, lengths: Tensor | None) -> Tensor:
    """like: (batch, ..., frames) -> float (batch, 1, frames) in its type; all ones where no lengths are given."""
    if lengths is None:
        return torch.ones(like.shape[0], 1, like.shape[-1], dtype=like.dtype, device=like.device)
    return length_mask(lengths, like.shape[-1])[:, None].to(like.dtype)
