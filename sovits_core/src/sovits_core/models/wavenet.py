"""Gated convolutions with skip connections, conditioned on the timbre: the body of posterior, flow and mel features."""

import torch
from torch import Tensor, nn

from sovits_core.models.normed import normed


class WaveNet(nn.Module):
    """Layers of tanh times sigmoid; the result is the sum of what each layer sets aside."""

    def __init__(self, channels: int, layers: int, kernel: int, timbre: int) -> None:
        super().__init__()
        self.channels = channels
        self.condition = normed(nn.Conv1d(timbre, 2 * channels * layers, 1))
        self.gates = nn.ModuleList(
            normed(nn.Conv1d(channels, 2 * channels, kernel, padding=kernel // 2)) for _ in range(layers)
        )
        # the last layer has nothing to pass on, only something to set aside
        self.splits = nn.ModuleList(
            normed(nn.Conv1d(channels, channels if index == layers - 1 else 2 * channels, 1)) for index in range(layers)
        )

    def forward(self, x: Tensor, mask: Tensor, timbre: Tensor) -> Tensor:
        """x: (batch, channels, frames), mask: (batch, 1, frames), timbre: (batch, timbre, 1) -> as x."""
        conditions = self.condition(timbre).chunk(len(self.gates), dim=1)  # each (batch, 2 channels, 1)
        aside = torch.zeros_like(x)
        for gate, split, condition in zip(self.gates, self.splits, conditions, strict=True):
            wave, door = torch.chunk(gate(x) + condition, 2, dim=1)
            shares = split(wave.tanh() * door.sigmoid())
            if shares.shape[1] == self.channels:
                aside = aside + shares
            else:
                x = (x + shares[:, : self.channels]) * mask
                aside = aside + shares[:, self.channels :]
        return aside * mask


class WaveNetEncoder(nn.Module):
    """A WaveNet between two projections."""

    def __init__(self, inputs: int, hidden: int, outputs: int, *, layers: int, kernel: int, timbre: int) -> None:
        super().__init__()
        self.input = nn.Conv1d(inputs, hidden, 1)
        self.wavenet = WaveNet(hidden, layers, kernel, timbre)
        self.projection = nn.Conv1d(hidden, outputs, 1)

    def forward(self, x: Tensor, mask: Tensor, timbre: Tensor) -> Tensor:
        """x: (batch, inputs, frames), mask: (batch, 1, frames) -> (batch, outputs, frames), zero outside the mask."""
        x = self.wavenet(self.input(x) * mask, mask, timbre)
        result: Tensor = self.projection(x) * mask
        return result
