"""S1's training examples: silence of prompts and continuations, and the weights of tokens."""

import pytest
import torch

from sovits_core.models.losses import PADDING_TARGET
from tiny_base.semantic import Segment, concatenate, make_example, token_loss, trim_silence
from tiny_base.tokens import TOKENS, Token


def test_a_continuation_has_no_initial_silence_and_little_final_silence() -> None:
    silent, spoken = TOKENS.index(Token(0, None, False)), TOKENS.index(Token(1, 1, False))
    aligned_tokens = torch.tensor([silent] * 2 + [spoken] * 4 + [silent] * 9)
    segment = Segment(torch.arange(5), aligned_tokens, aligned_tokens, torch.arange(15) // 3)
    row = make_example(segment, segment, encoder_prompt=False)
    assert row.prompt_length == 15  # the prompt is unchanged
    assert row.tokens.tolist() == [*aligned_tokens.tolist(), *aligned_tokens.tolist()[2:9]]
    assert row.phone_index.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 6, 6, 6, 7, 7, 7, 9]


def test_a_prompt_has_no_silence_at_its_ends() -> None:
    silent, spoken = TOKENS.index(Token(0, None, False)), TOKENS.index(Token(1, 1, False))
    aligned_tokens = torch.tensor([silent] * 3 + [spoken] * 3 + [silent] * 3)
    prompt = trim_silence(Segment(torch.arange(3), aligned_tokens, aligned_tokens, torch.arange(9) // 3), 0)
    assert prompt.aligned_tokens.tolist() == prompt.encoder_tokens.tolist() == [spoken] * 3
    assert prompt.phone_index.tolist() == [1] * 3


def test_the_first_tokens_after_a_prompt_have_a_higher_weight() -> None:
    targets = torch.zeros(2, 40, dtype=torch.long)
    targets[0, :10] = PADDING_TARGET  # a prompt of ten
    logits = torch.zeros(2, 40, 5)
    starts = torch.tensor([10, 0])
    evenly = token_loss(logits, targets, starts)
    torch.testing.assert_close(evenly, torch.tensor(5.0).log())  # a mean, whatever the weights
    gains = []
    for index in (0, 10, 21, 22):
        better = logits.clone()
        better[0, index, 0] = 1
        gains.append(float(evenly - token_loss(better, targets, starts)))
    assert gains[0] == pytest.approx(0, abs=1e-6)  # a prompt has no targets
    assert gains[1] == pytest.approx(gains[2]) == pytest.approx(3 * gains[3], rel=1e-3)


def test_silence_alone_becomes_little_silence() -> None:
    silence = torch.full((9,), TOKENS.index(Token(0, None, False)))
    row = make_example(
        Segment(torch.arange(1), silence, silence, torch.zeros(9, dtype=torch.long)), None, encoder_prompt=False
    )
    assert row.tokens.tolist() == silence.tolist()[:3]
    assert row.phone_index.tolist() == [0] * 4


def test_segments_are_concatenated_with_shifted_phone_indices() -> None:
    first, second = (
        Segment(
            torch.arange(count), torch.full((2 * count,), count), torch.zeros(2 * count), torch.arange(2 * count) // 2
        )
        for count in (3, 2)
    )
    both = concatenate(first, second)
    assert both.aligned_tokens.tolist() == [3] * 6 + [2] * 4
    assert both.phone_index.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]
    assert (len(both.phones), len(both.encoder_tokens)) == (5, 10)
