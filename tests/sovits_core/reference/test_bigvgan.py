import math

import pytest
import torch

from sovits_core.bundle.model_config import BigVganConfig
from sovits_core.models.normed import is_folded
from sovits_core.official.names import load_official, to_official
from sovits_core.reference.bigvgan import AliasFree, BigVgan, SnakeBeta, low_pass

SMALL = BigVganConfig(
    bands=5,
    upsample_rates=(4, 2),
    upsample_kernels=(8, 4),
    upsample_channels=16,
    block_kernels=(3, 5),
    block_dilations=((1, 3), (1, 3)),
)


def make() -> BigVgan:
    torch.manual_seed(0)
    vocoder = BigVgan(SMALL).eval()
    with torch.no_grad():
        for parameter in vocoder.parameters():  # a new generator is next to silent
            parameter.add_(0.1 * torch.randn_like(parameter))
    return vocoder


@pytest.fixture(scope="module")
def published() -> dict[str, torch.Tensor]:
    """Keys and shapes of `bigvgan_generator.pt`, as NVIDIA's code names them."""
    with torch.device("meta"):
        return to_official(BigVgan(BigVganConfig()))


def test_the_default_is_the_published_vocoder(published: dict[str, torch.Tensor]) -> None:
    assert BigVganConfig().hop == 256
    # NVIDIA says 112 million parameters; the two filters of each of the 6 * 3 * 6 + 1 nonlinearities are none
    assert sum(tensor.numel() for key, tensor in published.items() if not key.endswith("filter")) // 10**6 == 112
    convolutions = 1 + 6 + 6 * 3 * 6 + 1
    assert len(published) == 3 * convolutions - 1 + 4 * (6 * 3 * 6 + 1)  # conv_post has no bias


@pytest.mark.parametrize(
    ("key", "shape"),
    [
        ("conv_pre.weight_g", (1536, 1, 1)),
        ("conv_pre.weight_v", (1536, 100, 7)),
        ("conv_pre.bias", (1536,)),
        ("ups.0.0.weight_g", (1536, 1, 1)),
        ("ups.0.0.weight_v", (1536, 768, 8)),
        ("ups.5.0.bias", (24,)),
        ("resblocks.0.convs1.0.weight_v", (768, 768, 3)),
        ("resblocks.17.convs2.2.weight_v", (24, 24, 11)),
        ("resblocks.17.activations.5.act.alpha", (24,)),
        ("resblocks.17.activations.5.act.beta", (24,)),
        ("resblocks.3.activations.0.upsample.filter", (1, 1, 12)),
        ("resblocks.3.activations.0.downsample.lowpass.filter", (1, 1, 12)),
        ("activation_post.act.alpha", (24,)),
        ("conv_post.weight_v", (1, 24, 7)),
    ],
)
def test_keys_and_shapes_are_those_of_the_published_file(
    published: dict[str, torch.Tensor], key: str, shape: tuple[int, ...]
) -> None:
    assert tuple(published[key].shape) == shape


def test_nonlinearities_are_counted_in_the_order_they_run_in() -> None:
    vocoder = make()
    official = to_official(vocoder)
    block = vocoder.stages.get_submodule("1.blocks.0")  # the third of all
    for name, place in (("before_dilated.0", 0), ("before_plain.0", 1), ("before_dilated.1", 2), ("before_plain.1", 3)):
        ours = block.get_parameter(f"{name}.nonlinearity.log_frequency")
        assert torch.equal(official[f"resblocks.2.activations.{place}.act.alpha"], ours)


@torch.no_grad()
def test_official_weights_come_back_and_sound_the_same() -> None:
    first, second, mel = make(), BigVgan(SMALL).eval(), torch.randn(1, 5, 9)
    load_official(second, to_official(first))
    wav = first(mel)
    assert wav.shape == (1, 1, 9 * 8)
    assert wav.abs().max() <= 1
    assert torch.equal(second(mel), wav)
    second.fold_weight_norm()
    assert is_folded(second)
    torch.testing.assert_close(second(mel), wav)


def test_loud_samples_are_cut_and_not_bent() -> None:
    vocoder = make()
    with torch.no_grad():
        vocoder.output.get_parameter("parametrizations.weight.original0").mul_(1e4)
    assert vocoder(torch.randn(1, 5, 9)).abs().max() == 1


def test_the_filter_is_symmetric_keeps_constants_and_stops_what_would_fold() -> None:
    response = low_pass(0.25, 0.3, 12)
    torch.testing.assert_close(response, response.flip(0))
    torch.testing.assert_close(response.sum(), torch.tensor(1.0))
    gain = torch.fft.rfft(response, 1200).abs()
    assert gain[300] == pytest.approx(0.5, abs=0.02)  # the cutoff, a quarter of the rate
    assert gain[0] == pytest.approx(1)
    assert (gain[200:400].diff() < 0).all()
    assert gain[500:].max() < 10 ** (-50 / 20)  # Kaiser's 51 decibels, nearly


def test_a_shorter_transition_needs_a_wider_window() -> None:
    # 12 taps at the half width in use: 51 decibels, where Kaiser's formula takes its highest branch
    assert 2.285 * 5 * math.pi * 4 * 0.3 + 7.95 == pytest.approx(51.0, abs=0.1)
    sharp, blunt = low_pass(0.25, 0.05, 12), low_pass(0.25, 0.3, 12)
    assert sharp[0].abs() > blunt[0].abs()  # without attenuation the window is a rectangle


@torch.no_grad()
def test_constants_and_slow_waves_pass_the_filters() -> None:
    activation = AliasFree(1)
    activation.nonlinearity.log_magnitude.fill_(40.0)  # leaves the identity
    constant = torch.full((1, 1, 50), 0.7)
    torch.testing.assert_close(activation(constant), constant)
    slow = torch.sin(2 * math.pi * 0.01 * torch.arange(200.0))[None, None]
    torch.testing.assert_close(activation(slow)[:, :, 10:-10], slow[:, :, 10:-10], rtol=0, atol=5e-3)


def test_snake_adds_a_squared_sine() -> None:
    snake = SnakeBeta(2)
    with torch.no_grad():
        snake.log_frequency.copy_(torch.tensor([0.0, math.log(2)]))
        snake.log_magnitude.copy_(torch.tensor([0.0, math.log(4)]))
    x = torch.tensor([[[0.5], [0.5]]])
    expected = [0.5 + math.sin(0.5) ** 2, 0.5 + math.sin(1.0) ** 2 / 4]
    assert snake(x).flatten().tolist() == pytest.approx(expected)


def test_every_weight_is_reached_by_the_gradient() -> None:
    vocoder = make()
    vocoder(0.1 * torch.randn(1, 5, 9)).square().sum().backward()
    assert [
        key for key, parameter in vocoder.named_parameters() if parameter.grad is None or not parameter.grad.any()
    ] == []
