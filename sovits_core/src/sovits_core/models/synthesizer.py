"""S2: semantic tokens, phones and a timbre to a waveform, and back for training."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from sovits_core.bundle.model_config import SynthesizerConfig
from sovits_core.errors import InvalidModelInput
from sovits_core.models import normed
from sovits_core.models.conditioning import FRAMES_PER_CODE, Conditioning
from sovits_core.models.flow import Flow
from sovits_core.models.masks import frame_mask
from sovits_core.models.waveform import WaveformGenerator
from sovits_core.models.wavenet import WaveNetEncoder


@dataclass(frozen=True)
class TrainingPass:
    """What one training forward leaves for the losses; shapes in (batch, channels, frames)."""

    wav: Tensor
    """(batch, 1, segment * hop): the decoded random slice."""
    starts: Tensor
    """int64 (batch): first frame of each slice; sample = frame * hop."""
    mask: Tensor
    """(batch, 1, frames)."""
    z_q: Tensor
    """The posterior's sample, (batch, latent, frames), as all below."""
    m_q: Tensor
    logs_q: Tensor
    z_p: Tensor
    """z_q seen through the flow: what the prior has to explain."""
    m_p: Tensor
    logs_p: Tensor


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

    def training_pass(  # noqa: PLR0917 -- three padded batches, each beside its lengths
        self,
        ssl: Tensor | None,
        ssl_lengths: Tensor | None,
        spec: Tensor,
        spec_lengths: Tensor,
        text: Tensor,
        text_lengths: Tensor,
        *,
        codes: Tensor | None = None,
        code_lengths: Tensor | None = None,
        ge: Tensor | None = None,
        reference: Tensor | None = None,
        reference_lengths: Tensor | None = None,
        sv: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> TrainingPass:
        """One forward for training on recordings.

        What is said comes either as HuBERT features (`ssl`, quantized here without gradient) or as `codes` made before;
        the other one is None. The voice is `ge`, or the timbre of `reference`, or that of the recording itself.

        Args:
            ssl: (batch, ssl_dim, T50).
            ssl_lengths: int64 (batch).
            spec: (batch, spectrogram_bins, frames) of the recording, cut or padded here to two frames per code.
            spec_lengths: int64 (batch); each recording must hold at least two frames.
            text: int64 (batch, phones).
            text_lengths: int64 (batch).
            codes: int64 (batch, N).
            code_lengths: int64 (batch).
            ge: (batch, timbre, 1).
            reference: (batch, spectrogram_bins, F).
            reference_lengths: int64 (batch).
            sv: (batch, speaker_vector) where the configuration has one and `ge` is not given.
            generator: source of the noise and of the slices, on the tensors' device.

        Raises:
            InvalidModelInput: neither or both of ssl and codes are given, or a speaker vector is missing.
        """
        if (ssl is None) == (codes is None):
            raise InvalidModelInput("give either ssl or codes: exactly one of them says what is spoken")
        if ssl is not None:
            with torch.no_grad():
                codes = self.quantize(ssl)
            code_lengths = None if ssl_lengths is None else ssl_lengths // FRAMES_PER_CODE
        assert codes is not None  # noqa: S101  (checked above)
        if code_lengths is None:
            code_lengths = spec_lengths.new_full((len(codes),), codes.shape[1])
        if ge is None and reference is not None:
            ge = self.timbre(reference, reference_lengths, sv)
        elif ge is None:
            ge = self.timbre(spec, spec_lengths, sv)

        frames = FRAMES_PER_CODE * codes.shape[1]
        spec = functional.pad(spec, (0, max(0, frames - spec.shape[2])))[:, :, :frames]
        m_p, logs_p, mask = self.prior(codes, text, ge, code_lengths, text_lengths)
        mask = mask * frame_mask(spec, spec_lengths)
        noise = torch.randn(m_p.shape, generator=generator, device=m_p.device, dtype=m_p.dtype)
        # the posterior must not teach the timbre: it sees the recording anyway
        z_q, m_q, logs_q = self.posterior(spec, mask, ge.detach(), noise)
        z_p = self.flow(z_q, mask, ge)
        lengths = mask.sum(dim=(1, 2)).long()
        starts = slice_starts(lengths, self.config.segment_frames, generator)
        wav = self.waveform_generator(cut(z_q, starts, self.config.segment_frames), ge)
        return TrainingPass(wav, starts, mask, z_q, m_q, logs_q, z_p, m_p, logs_p)

    def fold_weight_norm(self) -> None:
        """Make all weights plain, for inference, export and adapters; the outputs stay the same."""
        normed.fold_weight_norm(self)


def slice_starts(lengths: Tensor, size: int, generator: torch.Generator | None = None) -> Tensor:
    """A random first frame per row such that `size` frames fit into its length; zero where they do not.

    lengths: int64 (batch) -> int64 (batch).
    """
    room = (lengths - size + 1).clamp(min=1)
    chance = torch.rand(lengths.shape, generator=generator, device=lengths.device)
    return (chance * room).long().minimum(room - 1)


def cut(x: Tensor, starts: Tensor, size: int) -> Tensor:
    """`size` frames from each row's start; zeros where a row ends earlier.

    x: (batch, channels, frames), starts: int64 (batch) -> (batch, channels, size). For samples, give both in samples.
    """
    x = functional.pad(x, (0, max(0, size - x.shape[2])))
    index = starts[:, None] + torch.arange(size, device=x.device)  # (batch, size)
    return x.gather(2, index[:, None, :].expand(-1, x.shape[1], -1))
