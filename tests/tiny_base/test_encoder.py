"""Forced alignment of recordings with the encoder."""

import torch

from tiny_base.encoder import forced_alignment
from tiny_base.phones import CLASSES


def test_forced_alignment_follows_the_scores_and_skips_absent_pauses() -> None:
    frames = ["SIL", "K", "K", "AE", "AE", "AE", "T", "SIL", "SIL", "S", "S"]
    scores = torch.full((len(frames), len(CLASSES)), -5.0)
    for frame, name in enumerate(frames):
        scores[frame, CLASSES.index(name)] = 0
    phones = ("K", "AE1", "T", ",", "S")
    found = forced_alignment(scores, phones, [True] * 4)
    assert found == [("SIL", 1), ("K", 3), ("AE", 6), ("T", 7), ("SIL", 9), ("S", 11)]
    assert "SIL" not in dict(forced_alignment(scores, phones, [True, True, False, True])[1:])
