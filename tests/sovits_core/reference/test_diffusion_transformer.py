"""The velocity network against a second implementation in NumPy, written from the formulas."""

from collections.abc import Mapping

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from sovits_core.bundle.model_config import DiffusionTransformerConfig
from sovits_core.errors import SovitsError
from sovits_core.reference.diffusion_transformer import DiffusionTransformer, RotaryPositions

Array = NDArray[np.float64]

BANDS, FEATURES, FRAMES = 3, 8, 13
CONFIG = DiffusionTransformerConfig(
    width=16,
    layers=2,
    heads=2,
    feed_forward=24,
    time_frequencies=4,
    feature_layers=2,
    position_kernel=5,
    position_groups=4,
)


def make() -> DiffusionTransformer:
    torch.manual_seed(0)
    network = DiffusionTransformer(BANDS, FEATURES, CONFIG).eval().double()
    with torch.no_grad():
        for parameter in network.parameters():  # the response norm begins as zero: it shall act
            parameter.add_(0.2 * torch.randn_like(parameter))
    return network


def inputs(batch: int = 1) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)

    def values(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    return {
        "x": values(batch, BANDS, FRAMES),
        "prompt": values(batch, BANDS, FRAMES),
        "features": values(batch, FEATURES, FRAMES),
        "time": torch.rand(batch, generator=generator, dtype=torch.float64),
        "step": torch.full((batch,), 0.25, dtype=torch.float64),
    }


def run(network: DiffusionTransformer, given: Mapping[str, Tensor], lengths: Tensor | None = None) -> Tensor:
    encoded = network.encode_features(given["features"], lengths)
    with torch.no_grad():
        answer: Tensor = network(given["x"], given["prompt"], encoded, given["time"], given["step"], lengths=lengths)
    return answer


class Reference:
    """One row, by loops and sums where it is cheap."""

    def __init__(self, network: DiffusionTransformer) -> None:
        self.w = {key: tensor.numpy() for key, tensor in network.state_dict().items()}

    def linear(self, name: str, x: Array) -> Array:
        return np.asarray(x @ self.w[f"{name}.weight"].T + self.w[f"{name}.bias"])

    def convolve(self, name: str, x: Array, groups: int) -> Array:
        """x: (time, channels)."""
        weight, bias = self.w[f"{name}.weight"], self.w[f"{name}.bias"]
        outputs, per_group, kernel = weight.shape
        padded = np.pad(x, ((kernel // 2, kernel // 2), (0, 0)))
        made = np.zeros((len(x), outputs))
        for place in range(len(x)):
            for output in range(outputs):
                group = output // (outputs // groups)
                seen = padded[place : place + kernel, group * per_group : (group + 1) * per_group]
                made[place, output] = (seen.T * weight[output]).sum() + bias[output]
        return made

    def moment(self, name: str, value: float) -> Array:
        periods = np.exp(-np.arange(4) * np.log(10000) / 3)
        angles = 1000 * value * periods
        inner = self.linear(f"{name}.layers.0", np.concatenate([np.sin(angles), np.cos(angles)]))
        return self.linear(f"{name}.layers.2", silu(inner))

    def turn(self, x: Array) -> Array:
        """Only the first head's eight channels, in neighbouring pairs."""
        turned = x.copy()
        for place in range(len(x)):
            for pair in range(4):
                angle = place * 10000.0 ** (-2 * pair / 8)
                a, b = x[place, 2 * pair], x[place, 2 * pair + 1]
                turned[place, 2 * pair] = a * np.cos(angle) - b * np.sin(angle)
                turned[place, 2 * pair + 1] = a * np.sin(angle) + b * np.cos(angle)
        return turned

    def attend(self, name: str, x: Array) -> Array:
        q, k = self.turn(self.linear(f"{name}.q", x)), self.turn(self.linear(f"{name}.k", x))
        v = self.linear(f"{name}.v", x)
        heads = []
        for part in (slice(0, 8), slice(8, 16)):
            scores = np.exp(q[:, part] @ k[:, part].T / np.sqrt(8))
            heads.append(scores / scores.sum(1, keepdims=True) @ v[:, part])
        return self.linear(f"{name}.out", np.concatenate(heads, axis=1))

    def encode(self, features: Array) -> Array:
        frequencies = 10000.0 ** (-np.arange(0, FEATURES, 2) / FEATURES)
        angles = np.arange(FRAMES)[:, None] * frequencies
        x = features.T + np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
        for index in range(2):
            name = f"feature_encoder.blocks.{index}"
            y = self.convolve(f"{name}.depthwise", x, FEATURES)
            y = normed(y) * self.w[f"{name}.norm.weight"] + self.w[f"{name}.norm.bias"]
            y = torch.nn.functional.gelu(torch.from_numpy(self.linear(f"{name}.up", y))).numpy()
            strength = np.sqrt((y**2).sum(0))
            scale, shift = self.w[f"{name}.response_norm.scale"], self.w[f"{name}.response_norm.shift"]
            y = scale * y * strength / (strength.mean() + 1e-6) + shift + y
            x = x + self.linear(f"{name}.down", y)
        return np.asarray(x)

    def velocity(self, given: Mapping[str, Array]) -> Array:
        moment = silu(self.moment("time_embedding", given["time"][0]) + self.moment("step_embedding", given["step"][0]))
        frames = [given["x"][0].T, given["prompt"][0].T, self.encode(given["features"][0])]
        x = self.linear("input.projection", np.concatenate(frames, axis=1))
        around = mish(self.convolve("input.around.0", x, 4))
        x = x + mish(self.convolve("input.around.1", around, 4))
        for index in range(2):
            name = f"layers.{index}"
            shift, scale, gate, late_shift, late_scale, late_gate = np.split(
                self.linear(f"{name}.modulation", moment), 6
            )
            x = x + gate * self.attend(f"{name}.attention", normed(x) * (1 + scale) + shift)
            inner = self.linear(f"{name}.up", normed(x) * (1 + late_scale) + late_shift)
            inner = inner / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (inner + 0.044715 * inner**3)))
            x = x + late_gate * self.linear(f"{name}.down", inner)
        scale, shift = np.split(self.linear("output_modulation", moment), 2)
        return np.asarray(self.linear("output", normed(x) * (1 + scale) + shift).T)


def silu(x: Array) -> Array:
    return np.asarray(x / (1 + np.exp(-x)))


def mish(x: Array) -> Array:
    return np.asarray(x * np.tanh(np.log1p(np.exp(x))))


def normed(x: Array) -> Array:
    return np.asarray((x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-6))


def test_the_velocity_is_what_the_formulas_say() -> None:
    network, given = make(), inputs()
    expected = Reference(network).velocity({key: tensor.numpy() for key, tensor in given.items()})
    ours = run(network, given)[0].numpy()
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_only_the_first_head_knows_positions() -> None:
    x = torch.randn(1, 5, 16)
    turned = RotaryPositions(8)(x)
    assert torch.equal(turned[..., 8:], x[..., 8:])
    assert torch.equal(turned[:, 0], x[:, 0])
    assert not torch.allclose(turned[:, 1:, :8], x[:, 1:, :8])
    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1))


def test_positions_stop_growing_at_4095() -> None:
    network = make()
    features = torch.zeros(1, FEATURES, 4110, dtype=torch.float64)
    for block in network.feature_encoder.blocks:
        torch.nn.init.zeros_(block.get_parameter("down.weight"))
        torch.nn.init.zeros_(block.get_parameter("down.bias"))
    told = network.encode_features(features)[0]
    assert not torch.equal(told[4094], told[4095])
    assert torch.equal(told[4095], told[4109])


@pytest.mark.parametrize("length", [1, 7, 12])
def test_a_padded_row_is_answered_as_if_alone(length: int) -> None:
    network, given = make(), inputs(batch=2)
    together = run(network, given, torch.tensor([FRAMES, length]))
    alone = {key: tensor[1:, ..., :length] if tensor.ndim == 3 else tensor[1:] for key, tensor in given.items()}
    torch.testing.assert_close(together[1:, :, :length], run(network, alone))


def test_every_weight_is_reached_by_the_gradient() -> None:
    network, given = make(), inputs()
    encoded = network.encode_features(given["features"])
    network(given["x"], given["prompt"], encoded, given["time"], given["step"]).square().sum().backward()
    # a bias of the keys moves all scores of a query alike, which the softmax does not see; turned by positions it does
    unreached = [k for k, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert unreached == []


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises((SovitsError, ValueError), match="width=16 must be an even multiple of heads=3"):
        DiffusionTransformerConfig(width=16, heads=3)
