"""The input side of every S2: semantic tokenizer, reference encoder and content encoder."""

from torch import Tensor, nn
from torch.nn import functional

from sovits_core.bundle.model_config import ConditioningConfig
from sovits_core.errors import InvalidModelInput
from sovits_core.models.content import ContentEncoder
from sovits_core.models.masks import frame_mask
from sovits_core.models.quantizer import Quantizer
from sovits_core.models.reference_encoder import ReferenceEncoder

FRAMES_PER_TOKEN = 2
"""Tokens come at 25 Hz, latent frames and spectrograms at 50 Hz."""


class SpeakerVector(nn.Module):
    """Adds a speaker-verification vector to the speaker embedding (the Pro family)."""

    def __init__(self, width: int, speaker_embedding: int) -> None:
        super().__init__()
        self.projection = nn.Linear(width, speaker_embedding)
        self.activation = nn.PReLU(speaker_embedding)

    def forward(self, speaker_embedding: Tensor, vector: Tensor) -> Tensor:
        """speaker_embedding: (batch, embedding, 1), vector: (batch, width) -> (batch, embedding, 1)."""
        result: Tensor = self.activation(speaker_embedding + self.projection(vector)[:, :, None])
        return result


class ContentProjection(nn.Module):
    """Projects a wide speaker embedding to the width of the content encoder."""

    def __init__(self, speaker_embedding: int, width: int) -> None:
        super().__init__()
        self.projection = nn.Linear(speaker_embedding, width)

    def forward(self, speaker_embedding: Tensor) -> Tensor:
        """speaker_embedding: (batch, embedding, 1) -> (batch, width, 1)."""
        result: Tensor = self.projection(speaker_embedding[:, :, 0])[:, :, None]
        return result


# Hsu et al. 2021, HuBERT, arXiv:2106.07447 (its features are the input)
class Conditioning(nn.Module):
    """The base of both synthesizers, which differ in the decoder of the content frames only.

    Attributes whose names say `timbre` are keys of stored weights.
    """

    def __init__(self, config: ConditioningConfig) -> None:
        super().__init__()
        self.ssl_projection = nn.Conv1d(config.ssl_dim, config.ssl_dim, FRAMES_PER_TOKEN, stride=FRAMES_PER_TOKEN)
        self.quantizer = Quantizer(config.codebook_size, config.ssl_dim)
        self.timbre_encoder = ReferenceEncoder(config)
        self.speaker_vector = (
            None if config.speaker_vector is None else SpeakerVector(config.speaker_vector, config.speaker_embedding)
        )
        self.timbre_for_content: nn.Module = (
            nn.Identity()
            if config.speaker_embedding == config.cross_hidden
            else ContentProjection(config.speaker_embedding, config.cross_hidden)
        )
        self.content_encoder = ContentEncoder(config)

    def quantize(self, ssl: Tensor) -> Tensor:
        """HuBERT features (batch, ssl_dim, T50) to tokens int64 (batch, T50 // 2)."""
        return self.quantizer.encode(self.ssl_projection(ssl))

    def token_distances(self, ssl: Tensor) -> Tensor:
        """HuBERT features (batch, ssl_dim, T50) to how far each code is, (batch, T50 // 2, tokens), less a constant."""
        return self.quantizer.distances(self.ssl_projection(ssl))

    def speaker_embedding(self, spec: Tensor, lengths: Tensor | None = None, sv: Tensor | None = None) -> Tensor:
        """Return the speaker embedding of a reference.

        Args:
            spec: (batch, spectrogram_bins, frames), linear magnitudes.
            lengths: int64 (batch), where rows are padded.
            sv: (batch, speaker_vector), for a configuration that has one, and only then.

        Returns:
            The speaker embedding (batch, embedding, 1).

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
        tokens: Tensor,
        text: Tensor,
        speaker_embedding: Tensor,
        token_lengths: Tensor | None = None,
        text_lengths: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """The arguments of the content encoder, in its order.

        Args:
            tokens: int64 (batch, N).
            text: int64 (batch, M).
            speaker_embedding: (batch, embedding, 1) from `speaker_embedding`.
            token_lengths: int64 (batch), where rows are padded.
            text_lengths: int64 (batch), where rows are padded.
        """
        quantized = self.quantizer.decode(tokens)  # (batch, ssl_dim, N)
        quantized = functional.interpolate(quantized, scale_factor=float(FRAMES_PER_TOKEN), mode="nearest")
        mask = frame_mask(quantized, None if token_lengths is None else FRAMES_PER_TOKEN * token_lengths)
        text_mask = frame_mask(text[:, None].to(speaker_embedding.dtype), text_lengths)
        return quantized, mask, text, text_mask, self.timbre_for_content(speaker_embedding)
