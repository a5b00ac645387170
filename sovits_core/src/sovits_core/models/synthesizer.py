"""S2: semantic tokens, phones and a timbre to a waveform, and back for training."""

from torch import Tensor

from sovits_core.bundle.model_config import SynthesizerConfig
from sovits_core.models import normed
from sovits_core.models.conditioning import Conditioning
from sovits_core.models.flow import Flow
from sovits_core.models.waveform import WaveformGenerator
from sovits_core.models.wavenet import WaveNetEncoder


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
            timbre=config.speaker_embedding,
        )
        self.flow = Flow(config)
        self.waveform_generator = WaveformGenerator(config, config.latent, timbre=config.speaker_embedding)

    def prior(
        self,
        codes: Tensor,
        text: Tensor,
        ge: Tensor,
        code_lengths: Tensor | None = None,
        text_lengths: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What is said as mean and log deviation (batch, latent, 2 N), and the mask (batch, 1, 2 N)."""
        inputs = self.content_inputs(codes, text, ge, code_lengths, text_lengths)
        mean, log_deviation = self.content_encoder(*inputs)
        return mean, log_deviation, inputs[1]

    def decode(
        self,
        codes: Tensor,
        text: Tensor,
        ge: Tensor,
        noise: Tensor,
        *,
        code_lengths: Tensor | None = None,
        text_lengths: Tensor | None = None,
    ) -> Tensor:
        """Speak.

        Args: see `latent_frames`.

        Returns:
            Samples (batch, 1, 2 N * hop); padding decodes to whatever it likes.
        """
        z = self.latent_frames(codes, text, ge, noise, code_lengths=code_lengths, text_lengths=text_lengths)
        wav: Tensor = self.waveform_generator(z, ge)
        return wav

    def latent_frames(
        self,
        codes: Tensor,
        text: Tensor,
        ge: Tensor,
        noise: Tensor,
        *,
        code_lengths: Tensor | None = None,
        text_lengths: Tensor | None = None,
    ) -> Tensor:
        """What `decode` hands to its waveform generator.

        Args:
            codes: int64 (batch, N), 25 per second.
            text: int64 (batch, M), the phones of the target alone.
            ge: (batch, timbre, 1) from `timbre`.
            noise: (batch, latent, 2 N), standard normal times the noise scale (0.5 upstream).
            code_lengths: int64 (batch), where rows are padded.
            text_lengths: int64 (batch), where rows are padded.

        Returns:
            (batch, latent, 2 N), zero on padding.
        """
        mean, log_deviation, mask = self.prior(codes, text, ge, code_lengths, text_lengths)
        z_p = (mean + noise * log_deviation.exp()) * mask
        z: Tensor = self.flow(z_p, mask, ge, reverse=True)
        return z * mask

    def posterior(self, spec: Tensor, mask: Tensor, ge: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Sample, mean and log deviation (batch, latent, frames) of a recording; noise is standard normal."""
        mean, log_deviation = self.posterior_encoder(spec, mask, ge).chunk(2, dim=1)
        return (mean + noise * log_deviation.exp()) * mask, mean, log_deviation

    def fold_weight_norm(self) -> None:
        """Make all weights plain, for inference, export and adapters; the outputs stay the same."""
        normed.fold_weight_norm(self)
