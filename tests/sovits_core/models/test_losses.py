import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from sovits_core.models import Discriminator, DiscriminatorConfig, Synthesizer, SynthesizerConfig, TrainingPass, losses
from sovits_core.models.synthesizer import cut

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


def test_accuracy_is_the_share_of_codes_hit() -> None:
    logits = functional.one_hot(torch.tensor([[3, 4, 0, 0], [6, 0, 0, 0]]), 10).float()
    assert float(losses.semantic_accuracy(logits, CODES, LENGTHS)) == 0.75


def a_pass(mean: float, deviation: float, mask: Tensor) -> TrainingPass:
    """Posterior samples of a standard normal, and a prior of the given mean and deviation."""
    torch.manual_seed(0)
    z = torch.randn(2, 4, 5000)
    zeros = torch.zeros_like(z)
    prior = zeros + mean, zeros + math.log(deviation)
    return TrainingPass(zeros, torch.zeros(2), mask, z, zeros, zeros, z, *prior)


@pytest.mark.parametrize(("mean", "deviation"), [(0.0, 1.0), (1.5, 1.0), (0.5, 2.0)])
def test_kl_is_that_of_two_normals(mean: float, deviation: float) -> None:
    expected = math.log(deviation) + (1 + mean**2) / (2 * deviation**2) - 0.5
    ours = float(losses.kl_loss(a_pass(mean, deviation, torch.ones(2, 1, 5000))))
    assert ours / 4 == pytest.approx(expected, abs=0.03)


def test_kl_leaves_out_padding() -> None:
    mask = torch.ones(2, 1, 5000)
    mask[1, :, 3:] = 0
    passed = a_pass(1.0, 1.0, mask)
    before = losses.kl_loss(passed)
    passed.m_p[1, :, 3:] = 1000
    assert torch.equal(losses.kl_loss(passed), before)


def test_a_perfect_discriminator_has_no_loss_and_its_generator_all_of_it() -> None:
    ones, zeros = [(torch.ones(2, 5), [torch.zeros(2)])] * 2, [(torch.zeros(2, 5), [torch.ones(2)])] * 2
    assert losses.discriminator_loss(ones, zeros) == 0
    assert losses.discriminator_loss(zeros, ones) == 4
    assert losses.adversarial_loss(zeros) == 2
    assert losses.adversarial_loss(ones) == 0
    assert losses.feature_loss(ones, zeros) == 2


def test_one_step_of_both_lowers_the_losses_they_own(small_s2: SynthesizerConfig) -> None:
    torch.manual_seed(0)
    s2 = Synthesizer(small_s2.model_copy(update={"segment_frames": 16, "dropout": 0.0}))
    judges = Discriminator(
        DiscriminatorConfig(periods=(2, 3), scale_channels=(4, 4, 4, 4, 4, 4), period_channels=(2, 2, 2, 2, 2))
    )
    recording = 0.1 * torch.randn(2, 1, 20 * 32)
    lengths = torch.tensor([20, 20])
    spec = torch.rand(2, 129, 20)

    def forward() -> tuple[TrainingPass, Tensor]:
        trained = s2.training_pass(
            None, None, spec, lengths, torch.ones(2, 3, dtype=torch.long), torch.tensor([3, 2]),
            codes=torch.ones(2, 10, dtype=torch.long), generator=torch.Generator().manual_seed(0),
        )  # fmt: skip
        return trained, cut(recording, trained.starts * 32, 16 * 32)

    def generator_losses() -> losses.GeneratorLosses:
        trained, real = forward()
        return losses.generator_losses(
            trained, real, judges(real), judges(trained.wav), sample_rate=16000, n_fft=256, hop=32, bands=16
        )

    def discriminator_loss() -> Tensor:
        trained, real = forward()
        return losses.discriminator_loss(judges(real), judges(trained.wav.detach()))

    for parameters, loss in (
        (list(judges.parameters()), discriminator_loss),
        (list(s2.parameters()), lambda: generator_losses().total),
    ):
        optimizer = torch.optim.AdamW(parameters, lr=1e-3)
        before = loss()
        optimizer.zero_grad()
        before.backward()
        optimizer.step()
        assert loss() < before
    terms = generator_losses()
    expected = terms.adversarial + 2 * terms.features + 45 * terms.mel + terms.kl
    torch.testing.assert_close(terms.total, expected)
