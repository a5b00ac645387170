"""Random segments lie within their rows and are padded with zeros."""

import torch

from sovits_core.models.segments import crop, segment_starts


def test_segments_lie_within_the_recording_and_reach_its_ends() -> None:
    lengths = torch.tensor([8, 9, 3]).repeat(50)
    starts = segment_starts(lengths, 8, torch.Generator().manual_seed(0)).view(50, 3)
    assert starts.min(dim=0).values.tolist() == [0, 0, 0]
    assert starts.max(dim=0).values.tolist() == [0, 1, 0]


def test_a_crop_begins_at_each_rows_start_and_is_padded_with_zeros() -> None:
    x = torch.arange(10.0).view(2, 1, 5)
    assert crop(x, torch.tensor([0, 2]), 3).tolist() == [[[0, 1, 2]], [[7, 8, 9]]]
    assert crop(x, torch.tensor([0, 0]), 6)[0, 0].tolist() == [0, 1, 2, 3, 4, 0]
