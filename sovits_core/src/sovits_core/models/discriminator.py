"""Training only: multi-scale and multi-period discriminators, and their features for the feature-matching loss.

For base training in `dev/tiny_base` (decision 0014). The attribute `judges` is a key of stored weights.
"""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from sovits_core.bundle.model_config import DiscriminatorConfig
from sovits_core.models.normed import normed

SLOPE = 0.1

DiscriminatorOutput = tuple[Tensor, list[Tensor]]
"""Scores (batch, positions) and the features of every layer."""


# Kumar et al. 2019, MelGAN, arXiv:1910.06711; as DiscriminatorS of GPT_SoVITS/module/models.py
class ScaleDiscriminator(nn.Module):
    """Strided convolutions over the waveform (the scale discriminator of MelGAN and HiFi-GAN)."""

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        first, second, third, fourth, fifth, last = channels
        self.layers = nn.ModuleList(
            [
                normed(nn.Conv1d(1, first, 15, padding=7)),
                # from here every group has four channels
                normed(nn.Conv1d(first, second, 41, 4, groups=first // 4, padding=20)),
                normed(nn.Conv1d(second, third, 41, 4, groups=second // 4, padding=20)),
                normed(nn.Conv1d(third, fourth, 41, 4, groups=third // 4, padding=20)),
                normed(nn.Conv1d(fourth, fifth, 41, 4, groups=fourth // 4, padding=20)),
                normed(nn.Conv1d(fifth, last, 5, padding=2)),
            ]
        )
        self.output = normed(nn.Conv1d(last, 1, 3, padding=1))

    def forward(self, wav: Tensor) -> DiscriminatorOutput:
        """wav: (batch, 1, samples)."""
        return run_layers(wav, self.layers, self.output)


# Kong et al. 2020, HiFi-GAN, arXiv:2010.05646; as DiscriminatorP of GPT_SoVITS/module/models.py
class PeriodDiscriminator(nn.Module):
    """2D convolutions over the waveform folded by its period."""

    def __init__(self, period: int, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.period = period
        widths = (1, *channels)
        last = len(channels) - 1
        self.layers = nn.ModuleList(
            normed(nn.Conv2d(width, following, (5, 1), (1 if index == last else 3, 1), padding=(2, 0)))
            for index, (width, following) in enumerate(pairwise(widths))
        )
        self.output = normed(nn.Conv2d(widths[-1], 1, (3, 1), padding=(1, 0)))

    def forward(self, wav: Tensor) -> DiscriminatorOutput:
        """wav: (batch, 1, samples)."""
        missing = -wav.shape[2] % self.period
        if missing:
            wav = functional.pad(wav, (0, missing), mode="reflect")
        return run_layers(
            wav.reshape(*wav.shape[:2], -1, self.period), self.layers, self.output
        )  # (batch, 1, rows, period)


def run_layers(x: Tensor, layers: nn.ModuleList, output: nn.Module) -> DiscriminatorOutput:
    """Return the scores and the output of every layer."""
    features = []
    for layer in layers:
        x = functional.leaky_relu(layer(x), SLOPE)
        features.append(x)
    x = output(x)
    features.append(x)
    return x.flatten(1), features


class Discriminator(nn.Module):
    """One scale discriminator and one discriminator per period."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        self.judges = nn.ModuleList(
            [
                ScaleDiscriminator(config.scale_channels),
                *(PeriodDiscriminator(period, config.period_channels) for period in config.periods),
            ]
        )

    def forward(self, wav: Tensor) -> list[DiscriminatorOutput]:
        """wav: (batch, 1, samples) -> one output per discriminator, in order."""
        return [discriminator(wav) for discriminator in self.judges]
