"""Training only: what the latent frames of a recording were."""

import torch
from torch import Tensor, nn

from sovits_core.model_config import SynthesizerConfig
from sovits_core.models.wavenet import WaveNet


class PosteriorEncoder(nn.Module):
    """A spectrogram to mean and log deviation of its latent frames."""

    def __init__(self, config: SynthesizerConfig) -> None:
        super().__init__()
        self.input = nn.Conv1d(config.spectrogram_bins, config.hidden, 1)
        self.wavenet = WaveNet(config.hidden, config.posterior_layers, config.wavenet_kernel, config.timbre)
        self.projection = nn.Conv1d(config.hidden, 2 * config.latent, 1)

    def forward(self, spectrogram: Tensor, mask: Tensor, timbre: Tensor) -> tuple[Tensor, Tensor]:
        """spectrogram: (batch, bins, frames) -> mean and log deviation, each (batch, latent, frames)."""
        x = self.wavenet(self.input(spectrogram) * mask, mask, timbre)
        mean, log_deviation = torch.chunk(self.projection(x) * mask, 2, dim=1)
        return mean, log_deviation
