"""Losses: known values, padding that does not count, and gradients that lower them."""

import math

import pytest
import torch
from torch import Tensor, nn

from sovits_core.models import Discriminator, DiscriminatorConfig, losses

CODES, LENGTHS = torch.tensor([[3, 4, 5], [6, 0, 0]]), torch.tensor([3, 1])


def test_targets_end_with_the_end_token_and_count_no_padding() -> None:
    assert losses.semantic_targets(CODES, LENGTHS, 9).tolist() == [[3, 4, 5, 9], [6, 9, -100, -100]]


def test_s1_loss_is_the_mean_over_real_tokens() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 4, 10)
    log_p = logits.log_softmax(-1)
    real = [(0, 0, 3), (0, 1, 4), (0, 2, 5), (0, 3, 9), (1, 0, 6), (1, 1, 9)]
    expected = -sum(float(log_p[place]) for place in real) / 6
    assert float(losses.semantic_loss(logits, CODES, LENGTHS, 9)) == pytest.approx(expected, rel=1e-5)
    logits[1, 2:] = 50 * torch.randn(2, 10)
    assert float(losses.semantic_loss(logits, CODES, LENGTHS, 9)) == pytest.approx(expected, rel=1e-5)


def a_prior(mean: float, deviation: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Samples of a standard normal posterior with its log deviation, and a prior of the given mean and deviation."""
    torch.manual_seed(0)
    z = torch.randn(2, 4, 5000)
    zeros = torch.zeros_like(z)
    return z, zeros, zeros + mean, zeros + math.log(deviation)


@pytest.mark.parametrize(("mean", "deviation"), [(0.0, 1.0), (1.5, 1.0), (0.5, 2.0)])
def test_kl_is_that_of_two_normals(mean: float, deviation: float) -> None:
    expected = math.log(deviation) + (1 + mean**2) / (2 * deviation**2) - 0.5
    ours = float(losses.kl_loss(*a_prior(mean, deviation), torch.ones(2, 1, 5000)))
    assert ours / 4 == pytest.approx(expected, abs=0.03)


def test_kl_leaves_out_padding() -> None:
    mask = torch.ones(2, 1, 5000)
    mask[1, :, 3:] = 0
    z, logs_q, m_p, logs_p = a_prior(1.0, 1.0)
    before = losses.kl_loss(z, logs_q, m_p, logs_p, mask)
    m_p[1, :, 3:] = 1000
    assert torch.equal(losses.kl_loss(z, logs_q, m_p, logs_p, mask), before)


def test_a_perfect_discriminator_has_no_loss_and_its_generator_all_of_it() -> None:
    ones, zeros = [(torch.ones(2, 5), [torch.zeros(2)])] * 2, [(torch.zeros(2, 5), [torch.ones(2)])] * 2
    assert losses.discriminator_loss(ones, zeros) == 0
    assert losses.discriminator_loss(zeros, ones) == 4
    assert losses.adversarial_loss(zeros) == 2
    assert losses.adversarial_loss(ones) == 0
    assert losses.feature_loss(ones, zeros) == 2


def test_one_step_of_each_lowers_the_loss_of_its_own() -> None:
    torch.manual_seed(0)
    discriminator = Discriminator(
        DiscriminatorConfig(periods=(2, 3), scale_channels=(4, 4, 4, 4, 4, 4), period_channels=(2, 2, 2, 2, 2))
    )
    recording, generated = 0.1 * torch.randn(2, 1, 16 * 32), nn.Parameter(0.1 * torch.randn(2, 1, 16 * 32))

    def discriminator_loss() -> Tensor:
        return losses.discriminator_loss(discriminator(recording), discriminator(generated.detach()))

    def generator_loss() -> Tensor:
        real, fake = discriminator(recording), discriminator(generated)
        mel = losses.mel_loss(recording[:, 0], generated[:, 0], sample_rate=16000, n_fft=256, hop=32, bands=16)
        return losses.adversarial_loss(fake) + losses.feature_loss(real, fake) + losses.MEL_WEIGHT * mel

    for parameters, loss in ((list(discriminator.parameters()), discriminator_loss), ([generated], generator_loss)):
        optimizer = torch.optim.AdamW(parameters, lr=1e-3)
        before = loss()
        optimizer.zero_grad()
        before.backward()
        optimizer.step()
        assert loss() < before
