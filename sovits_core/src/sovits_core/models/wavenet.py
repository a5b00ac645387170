"""Gated convolutions with skip connections, conditioned on the speaker embedding."""

import torch
from torch import Tensor, nn

from sovits_core.models.normed import normed


# van den Oord et al. 2016, WaveNet, arXiv:1609.03499; not causal as in Prenger et al. 2018, WaveGlow, arXiv:1811.00002
class WaveNet(nn.Module):
    """Gated residual layers, tanh times sigmoid; the result is the sum of their skip connections."""

    def __init__(self, channels: int, layers: int, kernel: int, speaker_embedding: int) -> None:
        super().__init__()
        self.channels = channels
        self.condition = normed(nn.Conv1d(speaker_embedding, 2 * channels * layers, 1))
        self.gates = nn.ModuleList(
            normed(nn.Conv1d(channels, 2 * channels, kernel, padding=kernel // 2)) for _ in range(layers)
        )
        # the last layer has no residual output, only a skip connection
        self.splits = nn.ModuleList(
            normed(nn.Conv1d(channels, channels if index == layers - 1 else 2 * channels, 1)) for index in range(layers)
        )

    def forward(self, x: Tensor, mask: Tensor, speaker_embedding: Tensor) -> Tensor:
        """x: (batch, channels, frames), mask: (batch, 1, frames), speaker_embedding: (batch, embedding, 1) -> as x."""
        conditions = self.condition(speaker_embedding).chunk(len(self.gates), dim=1)  # each (batch, 2 channels, 1)
        skip = torch.zeros_like(x)
        for convolution, split, condition in zip(self.gates, self.splits, conditions, strict=True):
            filtered, gated = torch.chunk(convolution(x) + condition, 2, dim=1)
            outputs = split(filtered.tanh() * gated.sigmoid())
            if outputs.shape[1] == self.channels:
                skip = skip + outputs
            else:
                x = (x + outputs[:, : self.channels]) * mask
                skip = skip + outputs[:, self.channels :]
        return skip * mask


class WaveNetEncoder(nn.Module):
    """A WaveNet between two projections."""

    def __init__(
        self, inputs: int, hidden: int, outputs: int, *, layers: int, kernel: int, speaker_embedding: int
    ) -> None:
        super().__init__()
        self.input = nn.Conv1d(inputs, hidden, 1)
        self.wavenet = WaveNet(hidden, layers, kernel, speaker_embedding)
        self.projection = nn.Conv1d(hidden, outputs, 1)

    def forward(self, x: Tensor, mask: Tensor, speaker_embedding: Tensor) -> Tensor:
        """x: (batch, inputs, frames), mask: (batch, 1, frames) -> (batch, outputs, frames), zero outside the mask."""
        x = self.wavenet(self.input(x) * mask, mask, speaker_embedding)
        result: Tensor = self.projection(x) * mask
        return result
