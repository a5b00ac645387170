"""S2: semantic tokens and phones to a waveform, conditioned on a speaker embedding, and back for training."""

from torch import Tensor

from sovits_core.bundle.model_config import SynthesizerConfig
from sovits_core.models import normed
from sovits_core.models.conditioning import Conditioning
from sovits_core.models.flow import Flow
from sovits_core.models.waveform import WaveformGenerator
from sovits_core.models.wavenet import WaveNetEncoder


# Kim et al. 2021, VITS, arXiv:2106.06103; as SynthesizerTrn of GPT_SoVITS/module/models.py
class Synthesizer(Conditioning):
    """The VITS-like synthesizer of v1, v2 and the Pro family; which of them is a matter of the configuration."""

    def __init__(self, config: SynthesizerConfig) -> None:
        super().__init__(config)
        self.config = config
        self.posterior_encoder = WaveNetEncoder(
            config.spectrogram_bins,
            config.hidden,
            2 * config.latent,
            layers=config.posterior_layers,
            kernel=config.wavenet_kernel,
            speaker_embedding=config.speaker_embedding,
        )
        self.flow = Flow(config)
        self.waveform_generator = WaveformGenerator(config, config.latent, speaker_embedding=config.speaker_embedding)

    def prior(
        self,
        tokens: Tensor,
        text: Tensor,
        speaker_embedding: Tensor,
        token_lengths: Tensor | None = None,
        text_lengths: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return mean and log deviation (batch, latent, 2 N) of the latent frames, and the mask (batch, 1, 2 N)."""
        inputs = self.content_inputs(tokens, text, speaker_embedding, token_lengths, text_lengths)
        mean, log_deviation = self.content_encoder(*inputs)
        return mean, log_deviation, inputs[1]

    def decode(
        self,
        tokens: Tensor,
        text: Tensor,
        speaker_embedding: Tensor,
        noise: Tensor,
        *,
        token_lengths: Tensor | None = None,
        text_lengths: Tensor | None = None,
    ) -> Tensor:
        """Synthesise a waveform.

        Args: see `latent_frames`.

        Returns:
            Samples (batch, 1, 2 N * hop); those of padded frames are undefined.
        """
        z = self.latent_frames(
            tokens, text, speaker_embedding, noise, token_lengths=token_lengths, text_lengths=text_lengths
        )
        wav: Tensor = self.waveform_generator(z, speaker_embedding)
        return wav

    def latent_frames(
        self,
        tokens: Tensor,
        text: Tensor,
        speaker_embedding: Tensor,
        noise: Tensor,
        *,
        token_lengths: Tensor | None = None,
        text_lengths: Tensor | None = None,
    ) -> Tensor:
        """Return the input of the waveform generator.

        Args:
            tokens: int64 (batch, N), 25 per second.
            text: int64 (batch, M), the phones of the target alone.
            speaker_embedding: (batch, embedding, 1) from `speaker_embedding`.
            noise: (batch, latent, 2 N), standard normal times the noise scale (0.5 upstream).
            token_lengths: int64 (batch), where rows are padded.
            text_lengths: int64 (batch), where rows are padded.

        Returns:
            (batch, latent, 2 N), zero on padding.
        """
        mean, log_deviation, mask = self.prior(tokens, text, speaker_embedding, token_lengths, text_lengths)
        z_p = (mean + noise * log_deviation.exp()) * mask
        z: Tensor = self.flow(z_p, mask, speaker_embedding, reverse=True)
        return z * mask

    def posterior(
        self, spec: Tensor, mask: Tensor, speaker_embedding: Tensor, noise: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Sample, mean and log deviation (batch, latent, frames) of a recording; noise is standard normal."""
        mean, log_deviation = self.posterior_encoder(spec, mask, speaker_embedding).chunk(2, dim=1)
        return (mean + noise * log_deviation.exp()) * mask, mean, log_deviation

    def fold_weight_norm(self) -> None:
        """Make all weights plain, for inference, export and adapters; the outputs stay the same."""
        normed.fold_weight_norm(self)
