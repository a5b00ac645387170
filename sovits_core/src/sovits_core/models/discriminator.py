"""Training only: judges that tell a recording from a synthesis, and whose inner features guide the generator."""

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from sovits_core.bundle.model_config import DiscriminatorConfig
from sovits_core.models.normed import normed

SLOPE = 0.1

Judgement = tuple[Tensor, list[Tensor]]
"""A score per place (batch, places) and the features of every layer."""


class ScaleJudge(nn.Module):
    """Looks at the signal as it is, in ever coarser steps."""

    def __init__(self, channels: tuple[int, ...]) -> None:
        super().__init__()
        first, second, third, fourth, fifth, last = channels
        self.layers = nn.ModuleList(
            [
                normed(nn.Conv1d(1, first, 15, padding=7)),
                # from here every group reads four channels
                normed(nn.Conv1d(first, second, 41, 4, groups=first // 4, padding=20)),
                normed(nn.Conv1d(second, third, 41, 4, groups=second // 4, padding=20)),
                normed(nn.Conv1d(third, fourth, 41, 4, groups=third // 4, padding=20)),
                normed(nn.Conv1d(fourth, fifth, 41, 4, groups=fourth // 4, padding=20)),
                normed(nn.Conv1d(fifth, last, 5, padding=2)),
            ]
        )
        self.output = normed(nn.Conv1d(last, 1, 3, padding=1))

    def forward(self, wav: Tensor) -> Judgement:
        """wav: (batch, 1, samples)."""
        return judge(wav, self.layers, self.output)


class PeriodJudge(nn.Module):
    """Looks at every period-th sample together."""

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

    def forward(self, wav: Tensor) -> Judgement:
        """wav: (batch, 1, samples)."""
        missing = -wav.shape[2] % self.period
        if missing:
            wav = functional.pad(wav, (0, missing), mode="reflect")
        return judge(wav.reshape(*wav.shape[:2], -1, self.period), self.layers, self.output)  # (batch, 1, rows, period)


def judge(x: Tensor, layers: nn.ModuleList, output: nn.Module) -> Judgement:
    """Run the layers and keep what each of them sees."""
    features = []
    for layer in layers:
        x = functional.leaky_relu(layer(x), SLOPE)
        features.append(x)
    x = output(x)
    features.append(x)
    return x.flatten(1), features


class Discriminator(nn.Module):
    """All judges together."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        self.judges = nn.ModuleList(
            [
                ScaleJudge(config.scale_channels),
                *(PeriodJudge(period, config.period_channels) for period in config.periods),
            ]
        )

    def forward(self, wav: Tensor) -> list[Judgement]:
        """wav: (batch, 1, samples) -> one judgement per judge, in order."""
        return [judge(wav) for judge in self.judges]
