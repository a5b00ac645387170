"""The vocoder of v4: HiFi-GAN's generator over a mel."""

from torch import Tensor, nn

from sovits_core.bundle.model_config import VocoderConfig
from sovits_core.models.normed import fold_weight_norm
from sovits_core.models.waveform import WaveformGenerator


# Kong et al. 2020, HiFi-GAN, arXiv:2010.05646
class Vocoder(nn.Module):
    """HiFi-GAN over a mel, without a speaker embedding and with plain weights."""

    def __init__(self, config: VocoderConfig) -> None:
        super().__init__()
        self.config = config
        self.waveform_generator = WaveformGenerator(config, config.bands, output_bias=True)
        fold_weight_norm(self)

    def forward(self, mel: Tensor) -> Tensor:
        """mel: (batch, bands, frames), natural log -> (batch, 1, frames * hop) between -1 and 1."""
        wav: Tensor = self.waveform_generator(mel)
        return wav
