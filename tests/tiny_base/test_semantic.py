"""What S1 learns from: where prompts and sentences begin and end, and which tokens count most."""

import pytest
import torch

from sovits_core.models.losses import PADDING_TARGET
from tiny_base.codes import CODES, Code
from tiny_base.semantic import Piece, example, joined, token_loss, trimmed


def test_a_sentence_is_learnt_to_begin_at_once_and_to_end_soon_after_its_last_phone() -> None:
    silent, spoken = CODES.index(Code(0, None, False)), CODES.index(Code(1, 1, False))
    codes = torch.tensor([silent] * 2 + [spoken] * 4 + [silent] * 9)
    piece = Piece(torch.arange(5), codes, codes, torch.arange(15) // 3)
    row = example(piece, piece, heard=False)
    assert row.prompt == 15  # a prompt is what it is
    assert row.codes.tolist() == [*codes.tolist(), *codes.tolist()[2:9]]
    assert row.place.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 6, 6, 6, 7, 7, 7, 9]


def test_a_prompt_ends_with_its_last_phone_that_a_sentence_goes_on_from() -> None:
    silent, spoken = CODES.index(Code(0, None, False)), CODES.index(Code(1, 1, False))
    codes = torch.tensor([silent] * 3 + [spoken] * 3 + [silent] * 3)
    prompt = trimmed(Piece(torch.arange(3), codes, codes, torch.arange(9) // 3), 0)
    assert prompt.codes.tolist() == prompt.heard.tolist() == [spoken] * 3
    assert prompt.place.tolist() == [1] * 3


def test_the_first_tokens_after_a_prompt_count_more() -> None:
    targets = torch.zeros(2, 40, dtype=torch.long)
    targets[0, :10] = PADDING_TARGET  # a prompt of ten
    logits = torch.zeros(2, 40, 5)
    starts = torch.tensor([10, 0])
    evenly = token_loss(logits, targets, starts)
    torch.testing.assert_close(evenly, torch.tensor(5.0).log())  # a mean, whatever the weights
    gains = []
    for place in (0, 10, 21, 22):
        better = logits.clone()
        better[0, place, 0] = 1
        gains.append(float(evenly - token_loss(better, targets, starts)))
    assert gains[0] == pytest.approx(0, abs=1e-6)  # nothing is learnt from a prompt
    assert gains[1] == pytest.approx(gains[2]) == pytest.approx(3 * gains[3], rel=1e-3)


def test_silence_alone_is_learnt_as_little_silence() -> None:
    silence = torch.full((9,), CODES.index(Code(0, None, False)))
    row = example(Piece(torch.arange(1), silence, silence, torch.zeros(9, dtype=torch.long)), None, heard=False)
    assert row.codes.tolist() == silence.tolist()[:3]
    assert row.place.tolist() == [0] * 4


def test_joined_pieces_are_said_one_after_the_other() -> None:
    first, second = (
        Piece(
            torch.arange(count), torch.full((2 * count,), count), torch.zeros(2 * count), torch.arange(2 * count) // 2
        )
        for count in (3, 2)
    )
    both = joined(first, second)
    assert both.codes.tolist() == [3] * 6 + [2] * 4
    assert both.place.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert (len(both.phones), len(both.heard)) == (5, 10)
