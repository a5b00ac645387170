"""Rounded weights are as close as their bits allow, block by block."""

import numpy as np
import pytest

from sovits_core.serving.rounding import Bits, round_blocks


def restored(levels: np.ndarray, scales: np.ndarray, bits: Bits) -> np.ndarray:
    if bits == 4:
        levels = np.stack([levels & 15, levels >> 4], axis=-1).reshape(*levels.shape[:2], -1)
    centred = levels.astype(np.float32) - (1 << (bits - 1))
    return (centred * scales.reshape(*levels.shape[:2], 1)).reshape(len(levels), -1)


@pytest.mark.parametrize(("bits", "steps"), [(8, 127), (4, 8)])
@pytest.mark.parametrize("inputs", [256, 200, 24])
def test_no_weight_is_further_away_than_its_block_allows(bits: Bits, steps: int, inputs: int) -> None:
    matrix = np.random.default_rng(0).standard_normal((5, inputs)).astype(np.float32)
    levels, scales = round_blocks(matrix, bits, 64)
    blocks = -(-inputs // 64)
    assert levels.shape == (5, blocks, 64 * bits // 8)
    assert scales.shape == (5 * blocks,)
    found = restored(levels, scales, bits)
    assert not found[:, inputs:].any()
    largest = np.abs(np.pad(matrix, ((0, 0), (0, -inputs % 64))).reshape(5, blocks, 64)).max(axis=2).repeat(64, axis=1)
    # half a step; with four bits the level opposite to the largest is missing, so that one may be a whole step away
    allowed = (1.0 if bits == 4 else 0.5) * largest[:, :inputs] / steps * 1.01
    assert (np.abs(found[:, :inputs] - matrix) <= allowed).all()


@pytest.mark.parametrize("bits", [8, 4])
def test_zeros_stay_zeros(bits: Bits) -> None:
    levels, scales = round_blocks(np.zeros((2, 64), np.float32), bits, 64)
    assert not restored(levels, scales, bits).any()
