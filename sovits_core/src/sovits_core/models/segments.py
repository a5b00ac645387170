"""Random segments of padded batches: training decodes them instead of whole clips."""

import torch
from torch import Tensor
from torch.nn import functional


# Kim et al. 2021, VITS, arXiv:2106.06103; as rand_slice_segments of GPT_SoVITS/module/commons.py
def segment_starts(lengths: Tensor, size: int, generator: torch.Generator | None = None) -> Tensor:
    """Return a random first frame per row such that `size` frames fit into its length; zero where they do not.

    Args:
        lengths: int64 (batch).
        size: of a segment.
        generator: source of the starts, on the tensor's device.

    Returns:
        int64 (batch).
    """
    room = (lengths - size + 1).clamp(min=1)
    uniform = torch.rand(lengths.shape, generator=generator, device=lengths.device)
    return (uniform * room).long().minimum(room - 1)


def crop(x: Tensor, starts: Tensor, size: int) -> Tensor:
    """Return `size` frames from each row's start; zeros where a row ends earlier.

    Args:
        x: (batch, channels, frames).
        starts: int64 (batch), in the unit of the last axis of `x`, as is `size`.
        size: of a segment.

    Returns:
        (batch, channels, size).
    """
    x = functional.pad(x, (0, max(0, size - x.shape[2])))
    index = starts[:, None] + torch.arange(size, device=x.device)  # (batch, size)
    return x.gather(2, index[:, None, :].expand(-1, x.shape[1], -1))
