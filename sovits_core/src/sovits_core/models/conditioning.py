"""What every S2 begins with: tokens from HuBERT's features, a timbre from a reference, and what is said per frame."""

from torch import Tensor, nn
from torch.nn import functional

from sovits_core.bundle.model_config import ConditioningConfig
from sovits_core.errors import InvalidModelInput
from sovits_core.models.content import ContentEncoder
from sovits_core.models.masks import frame_mask
from sovits_core.models.quantizer import Quantizer
from sovits_core.models.timbre import TimbreEncoder

FRAMES_PER_CODE = 2
"""Tokens come at 25 Hz, latent frames and spectrograms at 50 Hz."""


class SpeakerVector(nn.Module):
    """Adds a speaker-verification vector to the timbre (the Pro family)."""

    def __init__(self, width: int, timbre: int) -> None:
        super().__init__()
        self.projection = nn.Linear(width, timbre)
        self.activation = nn.PReLU(timbre)

    def forward(self, timbre: Tensor, vector: Tensor) -> Tensor:
        """timbre: (batch, timbre, 1), vector: (batch, width) -> (batch, timbre, 1)."""
        result: Tensor = self.activation(timbre + self.projection(vector)[:, :, None])
        return result


class TimbreForContent(nn.Module):
    """Narrows a wide timbre to what the content encoder takes."""

    def __init__(self, timbre: int, width: int) -> None:
        super().__init__()
        self.projection = nn.Linear(timbre, width)

    def forward(self, timbre: Tensor) -> Tensor:
        """timbre: (batch, timbre, 1) -> (batch, width, 1)."""
        result: Tensor = self.projection(timbre[:, :, 0])[:, :, None]
        return result


class Conditioning(nn.Module):
    """The base of both synthesizers: they differ in what they make of a code's frames, not in how they get them."""

    def __init__(self, config: ConditioningConfig) -> None:
        super().__init__()
        self.ssl_projection = nn.Conv1d(config.ssl_dim, config.ssl_dim, FRAMES_PER_CODE, stride=FRAMES_PER_CODE)
        self.quantizer = Quantizer(config.codebook_size, config.ssl_dim)
        self.timbre_encoder = TimbreEncoder(config)
        self.speaker_vector = (
            None if config.speaker_vector is None else SpeakerVector(config.speaker_vector, config.speaker_embedding)
        )
        self.timbre_for_content: nn.Module = (
            nn.Identity()
            if config.speaker_embedding == config.cross_hidden
            else TimbreForContent(config.speaker_embedding, config.cross_hidden)
        )
        self.content_encoder = ContentEncoder(config)

    def quantize(self, ssl: Tensor) -> Tensor:
        """HuBERT features (batch, ssl_dim, T50) to tokens int64 (batch, T50 // 2)."""
        return self.quantizer.encode(self.ssl_projection(ssl))

    def code_distances(self, ssl: Tensor) -> Tensor:
        """HuBERT features (batch, ssl_dim, T50) to how far each code is, (batch, T50 // 2, codes), less a constant."""
        return self.quantizer.distances(self.ssl_projection(ssl))

    def timbre(self, spec: Tensor, lengths: Tensor | None = None, sv: Tensor | None = None) -> Tensor:
        """Whose voice a reference is.

        Args:
            spec: (batch, spectrogram_bins, frames), linear magnitudes.
            lengths: int64 (batch), where rows are padded.
            sv: (batch, speaker_vector), for a configuration that has one, and only then.

        Returns:
            The timbre embedding (batch, timbre, 1).

        Raises:
            InvalidModelInput: a speaker vector is missing or not wanted.
        """
        embedding: Tensor = self.timbre_encoder(spec, frame_mask(spec, lengths))
        if self.speaker_vector is None:
            if sv is not None:
                raise InvalidModelInput("this synthesizer has no use for a speaker vector: leave sv out")
            return embedding
        if sv is None:
            width = self.speaker_vector.projection.in_features
            raise InvalidModelInput(f"this synthesizer needs a speaker vector: give sv, (batch, {width})")
        result: Tensor = self.speaker_vector(embedding, sv)
        return result

    def content_inputs(
        self,
        codes: Tensor,
        text: Tensor,
        ge: Tensor,
        code_lengths: Tensor | None = None,
        text_lengths: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """The arguments of the content encoder, in its order.

        Args:
            codes: int64 (batch, N).
            text: int64 (batch, M).
            ge: (batch, timbre, 1) from `timbre`.
            code_lengths: int64 (batch), where rows are padded.
            text_lengths: int64 (batch), where rows are padded.
        """
        quantized = self.quantizer.decode(codes)  # (batch, ssl_dim, N)
        quantized = functional.interpolate(quantized, scale_factor=float(FRAMES_PER_CODE), mode="nearest")
        mask = frame_mask(quantized, None if code_lengths is None else FRAMES_PER_CODE * code_lengths)
        text_mask = frame_mask(text[:, None].to(ge.dtype), text_lengths)
        return quantized, mask, text, text_mask, self.timbre_for_content(ge)
