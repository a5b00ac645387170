import pytest
import torch
from torch.nn import functional

from sovits_core.models.networks import Networks

TOLERANCE = 1e-5


def rows() -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Phones, text features and codes of three utterances of different lengths."""
    torch.manual_seed(1)
    return [
        (torch.randint(0, 40, (text,)), torch.randn(text, 8), torch.randint(0, 32, (audio,)))
        for text, audio in ((3, 9), (7, 2), (5, 6))
    ]


@torch.no_grad()
def test_a_row_of_a_mixed_batch_gets_the_logits_it_gets_alone(networks: Networks) -> None:
    def padded(tensors: list[torch.Tensor], value: float) -> torch.Tensor:
        return torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=value)

    phones, bert, codes = (list(column) for column in zip(*rows(), strict=True))
    text_lengths = torch.tensor([len(row) for row in phones])
    code_lengths = torch.tensor([len(row) for row in codes])
    # the padding is anything but neutral, so that a leak shows
    together = networks.s1(padded(phones, 17), text_lengths, padded(bert, 3.0), padded(codes, 5), code_lengths)
    assert together.shape == (3, 10, 33)
    for index, (row_phones, row_bert, row_codes) in enumerate(rows()):
        alone = networks.s1(
            row_phones[None],
            text_lengths[index : index + 1],
            row_bert[None],
            row_codes[None],
            code_lengths[index : index + 1],
        )
        torch.testing.assert_close(together[index, : len(row_codes) + 1], alone[0], rtol=0, atol=TOLERANCE)


@torch.no_grad()
def test_no_text_feature_means_zeros(networks: Networks) -> None:
    phones, _, codes = rows()[0]
    lengths = torch.tensor([len(phones)]), torch.tensor([len(codes)])
    left_out = networks.s1(phones[None], lengths[0], None, codes[None], lengths[1])
    zeros = networks.s1(phones[None], lengths[0], torch.zeros(1, len(phones), 8), codes[None], lengths[1])
    torch.testing.assert_close(left_out, zeros)


@pytest.mark.parametrize("prompt", [pytest.param(0, id="no prompt"), pytest.param(4, id="a prompt of four")])
@torch.no_grad()
def test_prefill_and_steps_say_what_the_teacher_forced_pass_says(networks: Networks, prompt: int) -> None:
    phones, bert, codes = rows()[0]
    forced = networks.s1(
        phones[None], torch.tensor([len(phones)]), bert[None], codes[None], torch.tensor([len(codes)])
    )[0]
    logits, keys, values = networks.s1.prefill(phones[None], bert[None], codes[None, :prompt])
    assert keys.shape == values.shape == (3, 1, 4, len(phones) + prompt, 8)
    torch.testing.assert_close(logits[0], forced[prompt], rtol=0, atol=TOLERANCE)
    length = keys.shape[3]
    # unused slots hold rubbish: the length must hide them
    keys, values = (functional.pad(cache, (0, 0, 0, 20), value=99.0) for cache in (keys, values))
    for position in range(prompt, len(codes)):
        logits, new_keys, new_values = networks.s1.step(
            codes[None, position : position + 1], torch.tensor([position]), keys, values, torch.tensor([length])
        )
        torch.testing.assert_close(logits[0], forced[position + 1], rtol=0, atol=TOLERANCE)
        keys[:, :, :, length], values[:, :, :, length] = new_keys[:, :, :, 0], new_values[:, :, :, 0]
        length += 1


def test_padding_gets_no_gradient_and_real_tokens_do(networks: Networks) -> None:
    phones = torch.tensor([[1, 2, 3, 39], [4, 5, 6, 7]])
    codes = torch.tensor([[1, 2, 31], [3, 4, 5]])
    logits = networks.s1(phones, torch.tensor([3, 4]), None, codes, torch.tensor([2, 3]))
    real = torch.cat([logits[0, :3], logits[1]])
    real.sum().backward()
    text, audio = networks.s1.text_embedding.weight.grad, networks.s1.audio_embedding.weight.grad
    assert text is not None
    assert audio is not None
    assert not text[39].any()
    assert not audio[31].any()
    assert text[[1, 2, 3, 4, 5, 6, 7]].abs().sum(dim=1).min() > 0
    assert audio[[1, 2, 3, 4, 5]].abs().sum(dim=1).min() > 0
