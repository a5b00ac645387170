"""Weights in 8 or 4 bits: blocks that share a scale, as ONNX Runtime's MatMulNBits reads them."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Bits = Literal[4, 8]
WeightBits = Literal[4, 8, 32]
"""32: float32, as it is."""


def round_blocks(matrix: NDArray[np.float32], bits: Bits, block: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Round each block of weights along the inputs to integers around a fixed zero point, 2^(bits - 1).

    Args:
        matrix: (outputs, inputs); the last block is filled with zeros.
        bits: of a weight.
        block: weights that share a scale.

    Returns:
        Levels uint8 (outputs, blocks, block * bits / 8), two of four bits in a byte, the lower first; scales float32
        (outputs * blocks), in steps of float16.
    """
    outputs, inputs = matrix.shape
    zero = 1 << (bits - 1)
    blocks = np.pad(matrix, ((0, 0), (0, -inputs % block))).reshape(outputs, -1, block)
    if bits == 8:
        scales = np.abs(blocks).max(axis=2) / (zero - 1)
    else:  # 16 levels are few: the largest magnitude takes the one level that has no opposite
        largest = np.abs(blocks).argmax(axis=2)[..., None]
        scales = -np.take_along_axis(blocks, largest, axis=2)[..., 0] / zero
    scales = scales.astype(np.float16).astype(np.float32)  # levels are chosen for what is read back
    usable = np.where(scales != 0, scales, 1)[..., None]
    levels = np.clip(np.rint(blocks / usable) + zero, 0, 2 * zero - 1).astype(np.uint8)
    if bits == 4:
        levels = levels[..., 0::2] | (levels[..., 1::2] << 4)
    return levels, scales.reshape(-1)
