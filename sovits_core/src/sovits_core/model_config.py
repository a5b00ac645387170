"""Sizes of the networks, as they stand in base.json; no torch here, so that a server may read them."""

from math import prod
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

PositiveInts = tuple[int, ...]


class ModelConfig(BaseModel):
    """Frozen, camelCase in JSON, unknown fields refused; Python code may use either spelling of a field."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


class TextToSemanticConfig(ModelConfig):
    """S1, the autoregressive transformer from phones to semantic tokens; the defaults are the official v2 sizes."""

    phonemes: int = Field(732, ge=1, le=65536, description="Rows of the phoneme embedding.")
    vocabulary: int = Field(1025, ge=2, le=65536, description="Semantic tokens plus one: the last is the end token.")
    bert_dim: int = Field(1024, ge=1, le=8192, description="Width of the text feature beside each phone.")
    hidden: int = Field(512, ge=2, le=8192)
    heads: int = Field(16, ge=1, le=128)
    layers: int = Field(24, ge=1, le=128)
    feed_forward: int = Field(2048, ge=1, le=65536)
    dropout: float = Field(0.1, ge=0, lt=1)

    @property
    def end_token(self) -> int:
        """The token that ends an utterance: the last of the vocabulary."""
        return self.vocabulary - 1

    @model_validator(mode="after")
    def _heads_divide_hidden(self) -> Self:
        if self.hidden % self.heads or self.hidden % 2:
            raise ValueError(f"hidden={self.hidden} must be even and a multiple of heads={self.heads}")
        return self


class SynthesizerConfig(ModelConfig):
    """S2, semantic tokens and phones to a waveform; the defaults are the official v2 sizes."""

    phonemes: int = Field(732, ge=1, le=65536)
    codes: int = Field(1024, ge=1, le=65536, description="Entries of the codebook.")
    ssl_dim: int = Field(768, ge=1, le=8192, description="Width of HuBERT's features.")
    spectrogram_bins: int = Field(1025, ge=2, le=8193, description="n_fft / 2 + 1.")
    sample_rate: int = Field(32000, ge=8000, le=192000)

    latent: int = Field(192, ge=2, le=4096, description="Channels of z; the flow halves them.")
    hidden: int = Field(192, ge=1, le=4096)
    filter: int = Field(768, ge=1, le=16384, description="Inner width of the encoders' feed-forward convolutions.")
    heads: int = Field(2, ge=1, le=64)
    kernel: int = Field(3, ge=1, le=31, description="Kernel of the encoders' feed-forward convolutions.")
    attention_window: int = Field(4, ge=1, le=64, description="Reach of the relative positions, in frames.")
    ssl_layers: int = Field(3, ge=1, le=64)
    text_layers: int = Field(6, ge=1, le=64)
    mixed_layers: int = Field(3, ge=1, le=64)
    dropout: float = Field(0.1, ge=0, lt=1)

    cross_hidden: int = Field(512, ge=1, le=4096, description="Width where tokens meet phones and timbre.")
    cross_heads: int = Field(4, ge=1, le=64)

    timbre: int = Field(512, ge=1, le=4096, description="Width of the timbre embedding (gin).")
    reference_bins: int = Field(704, ge=1, le=8193, description="Lowest bins of the reference spectrogram in use.")
    reference_hidden: int = Field(128, ge=1, le=4096)
    reference_heads: int = Field(2, ge=1, le=64)
    speaker_vector: int | None = Field(
        None, ge=1, le=65536, description="Width of a speaker-verification vector (Pro)."
    )

    posterior_layers: int = Field(16, ge=1, le=64)
    flows: int = Field(4, ge=1, le=32)
    flow_layers: int = Field(4, ge=1, le=64)
    wavenet_kernel: int = Field(5, ge=1, le=31)

    upsample_rates: PositiveInts = (10, 8, 2, 2, 2)
    upsample_kernels: PositiveInts = (16, 16, 8, 2, 2)
    upsample_channels: int = Field(512, ge=1, le=8192, description="Channels before the first upsampling.")
    block_kernels: PositiveInts = (3, 7, 11)
    block_dilations: tuple[PositiveInts, ...] = ((1, 3, 5), (1, 3, 5), (1, 3, 5))
    segment_frames: int = Field(32, ge=1, le=4096, description="Frames of the random slice that training decodes.")

    @property
    def hop(self) -> int:
        """Samples per latent frame: the product of the upsampling rates."""
        return prod(self.upsample_rates)

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.hidden % self.heads:
            raise ValueError(f"hidden={self.hidden} must be a multiple of heads={self.heads}")
        if self.cross_hidden % self.cross_heads:
            raise ValueError(f"crossHidden={self.cross_hidden} must be a multiple of crossHeads={self.cross_heads}")
        if self.reference_hidden % self.reference_heads:
            raise ValueError(
                f"referenceHidden={self.reference_hidden} must be a multiple of referenceHeads={self.reference_heads}"
            )
        if self.latent % 2:
            raise ValueError(f"latent={self.latent} must be even: each flow step moves one half of the channels")
        if self.reference_bins > self.spectrogram_bins:
            raise ValueError(
                f"referenceBins={self.reference_bins} exceeds spectrogramBins={self.spectrogram_bins}; lower it"
            )
        self._check_upsampling()
        return self

    def _check_upsampling(self) -> None:
        if len(self.upsample_rates) != len(self.upsample_kernels):
            raise ValueError("upsampleRates and upsampleKernels must have one entry per stage each")
        for rate, kernel in zip(self.upsample_rates, self.upsample_kernels, strict=True):
            if rate < 1 or kernel < rate or (kernel - rate) % 2:
                raise ValueError(f"upsample kernel {kernel} must exceed its rate {rate} by an even number")
        if self.upsample_channels % 2 ** len(self.upsample_rates):
            raise ValueError(f"upsampleChannels={self.upsample_channels} must halve once per upsampling stage")
        if len(self.block_kernels) != len(self.block_dilations):
            raise ValueError("blockKernels and blockDilations must have one entry per block each")
        if any(kernel % 2 == 0 for kernel in self.block_kernels):
            raise ValueError(f"blockKernels={self.block_kernels} must be odd, so that frames stay aligned")


class DiscriminatorConfig(ModelConfig):
    """The waveform judges of training: one over the plain signal, one per period."""

    periods: PositiveInts = (2, 3, 5, 7, 11)
    scale_channels: PositiveInts = Field((16, 64, 256, 1024, 1024, 1024), min_length=6, max_length=6)
    period_channels: PositiveInts = Field((32, 128, 512, 1024, 1024), min_length=5, max_length=5)

    @model_validator(mode="after")
    def _groups_fit(self) -> Self:
        for width, following in zip(self.scale_channels[:4], self.scale_channels[1:5], strict=True):
            if width % 4 or following % (width // 4):
                raise ValueError(
                    f"scaleChannels={self.scale_channels}: groups of 4 channels must divide the next layer"
                )
        return self


def s2_v1() -> SynthesizerConfig:
    """The official v1 synthesizer: fewer phones, the whole spectrogram as reference."""
    return SynthesizerConfig(phonemes=322, reference_bins=1025)


def s2_v2_pro() -> SynthesizerConfig:
    """The official v2Pro synthesizer: v2 with a speaker-verification vector and a wider timbre."""
    return SynthesizerConfig(timbre=1024, speaker_vector=20480, dropout=0.0)


def s2_v2_pro_plus() -> SynthesizerConfig:
    """The official v2ProPlus synthesizer: v2Pro with a wider waveform generator."""
    return s2_v2_pro().model_copy(update={"upsample_channels": 768, "upsample_kernels": (20, 16, 8, 2, 2)})
