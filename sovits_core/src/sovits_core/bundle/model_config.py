"""Sizes of the networks, as they stand in base.json; no torch here, so that a server may read them."""

from math import prod
from typing import Self

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

PositiveInts = tuple[int, ...]


class ModelConfig(BaseModel):
    """Frozen, camelCase in JSON, unknown fields refused; Python code may use either spelling of a field."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


class TextToSemanticConfig(ModelConfig):
    """S1, the autoregressive transformer from phones to semantic tokens; the defaults are the official v2 sizes."""

    phonemes: int = Field(732, ge=1, le=65536, description="Rows of the phoneme embedding.")
    vocabulary: int = Field(1025, ge=2, le=65536, description="Semantic tokens plus one: the last is the end token.")
    bert_dim: int = Field(1024, ge=1, le=8192, description="Width of the text feature of each phone.")
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


class ConditioningConfig(ModelConfig):
    """Sizes that every S2 has; the defaults are the official v2 sizes."""

    phonemes: int = Field(732, ge=1, le=65536)
    codebook_size: int = Field(
        1024,
        ge=1,
        le=65536,
        validation_alias=AliasChoices("codebookSize", "codes"),  # `codes` in bases imported by 0.1
        description="Number of semantic tokens.",
    )
    ssl_dim: int = Field(768, ge=1, le=8192, description="Width of HuBERT's features.")
    spectrogram_bins: int = Field(1025, ge=2, le=8193, description="n_fft / 2 + 1.")
    sample_rate: int = Field(32000, ge=8000, le=192000, description="Of the reference's linear spectrogram.")

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

    cross_hidden: int = Field(512, ge=1, le=4096, description="Width of the cross-attention between tokens and phones.")
    cross_heads: int = Field(4, ge=1, le=64)

    speaker_embedding: int = Field(
        512,
        ge=1,
        le=4096,
        validation_alias=AliasChoices("speakerEmbedding", "timbre"),  # `timbre` in bases imported by 0.1
        description="Width of the speaker embedding (gin).",
    )
    reference_bins: int = Field(704, ge=1, le=8193, description="Lowest bins of the reference spectrogram in use.")
    reference_hidden: int = Field(128, ge=1, le=4096)
    reference_heads: int = Field(2, ge=1, le=64)
    speaker_vector: int | None = Field(
        None, ge=1, le=65536, description="Width of a speaker-verification vector (Pro)."
    )
    wavenet_kernel: int = Field(5, ge=1, le=31)

    @model_validator(mode="after")
    def _conditioning_fits(self) -> Self:
        if self.hidden % self.heads:
            raise ValueError(f"hidden={self.hidden} must be a multiple of heads={self.heads}")
        if self.cross_hidden % self.cross_heads:
            raise ValueError(f"crossHidden={self.cross_hidden} must be a multiple of crossHeads={self.cross_heads}")
        if self.reference_hidden % self.reference_heads:
            raise ValueError(
                f"referenceHidden={self.reference_hidden} must be a multiple of referenceHeads={self.reference_heads}"
            )
        if self.reference_bins > self.spectrogram_bins:
            raise ValueError(
                f"referenceBins={self.reference_bins} exceeds spectrogramBins={self.spectrogram_bins}; lower it"
            )
        return self


class UpsamplingConfig(ModelConfig):
    """Frames to samples in stages, each with residual blocks; the defaults are the official v2 sizes."""

    upsample_rates: PositiveInts = (10, 8, 2, 2, 2)
    upsample_kernels: PositiveInts = (16, 16, 8, 2, 2)
    upsample_channels: int = Field(512, ge=1, le=8192, description="Channels before the first upsampling.")
    block_kernels: PositiveInts = (3, 7, 11)
    block_dilations: tuple[PositiveInts, ...] = ((1, 3, 5), (1, 3, 5), (1, 3, 5))

    @property
    def hop(self) -> int:
        """Samples per frame: the product of the upsampling rates."""
        return prod(self.upsample_rates)

    @model_validator(mode="after")
    def _stages_fit(self) -> Self:
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
        return self


class SynthesizerConfig(UpsamplingConfig, ConditioningConfig):
    """S2 of v1, v2 and Pro, semantic tokens and phones to a waveform; the defaults are the official v2 sizes."""

    posterior_layers: int = Field(16, ge=1, le=64)
    flows: int = Field(4, ge=1, le=32)
    flow_layers: int = Field(4, ge=1, le=64)
    segment_frames: int = Field(32, ge=1, le=4096, description="Frames of the random segment that training decodes.")

    @model_validator(mode="after")
    def _flow_halves(self) -> Self:
        if self.latent % 2:
            raise ValueError(f"latent={self.latent} must be even: each flow step moves one half of the channels")
        return self


class MelConfig(ModelConfig):
    """A log mel; the defaults are those of v4."""

    sample_rate: int = Field(32000, ge=8000, le=192000)
    n_fft: int = Field(1280, ge=16, le=16384, description="Window and transform length.")
    hop: int = Field(320, ge=1, le=16384)
    bands: int = Field(100, ge=1, le=1024)


class DiffusionTransformerConfig(ModelConfig):
    """The velocity network of v3 and v4; the defaults are the official sizes."""

    width: int = Field(1024, ge=2, le=8192)
    layers: int = Field(22, ge=1, le=128)
    heads: int = Field(16, ge=1, le=128)
    feed_forward: int = Field(2048, ge=1, le=65536)
    dropout: float = Field(0.1, ge=0, lt=1)
    time_frequencies: int = Field(128, ge=2, le=4096, description="Sine and cosine pairs that tell time and step.")
    feature_layers: int = Field(4, ge=1, le=32, description="ConvNeXt blocks over the features.")
    feature_expansion: int = Field(2, ge=1, le=16)
    position_kernel: int = Field(31, ge=1, le=255)
    position_groups: int = Field(16, ge=1, le=256)

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        if self.width % (2 * self.heads):
            raise ValueError(f"width={self.width} must be an even multiple of heads={self.heads}")
        if self.width % self.position_groups:
            raise ValueError(f"width={self.width} must be a multiple of positionGroups={self.position_groups}")
        if self.position_kernel % 2 == 0:
            raise ValueError(f"positionKernel={self.position_kernel} must be odd, so that frames stay aligned")
        return self


class MelSynthesizerConfig(ConditioningConfig):
    """S2 of v3 and v4, semantic tokens and phones to a log mel by flow matching; the defaults are those of v4."""

    features: int = Field(512, ge=2, le=4096, description="Channels that condition the velocity, at the mel's rate.")
    feature_layers: int = Field(
        8, ge=1, le=64, description="WaveNet layers that condition the features on the speaker."
    )
    mel: MelConfig = MelConfig()
    mel_frames_per_latent: float = Field(2.0, ge=1, le=8, description="Mel frames per spectrogram frame (20 ms).")
    velocity: DiffusionTransformerConfig = DiffusionTransformerConfig()
    prompt_frames: int = Field(500, ge=1, le=10000, description="Longest prompt in mel frames; its end is kept.")
    chunk_frames: int = Field(1000, ge=2, le=20000, description="Mel frames made at once, prompt included.")

    @model_validator(mode="after")
    def _chunks_hold_more_than_the_prompt(self) -> Self:
        if self.chunk_frames <= self.prompt_frames:
            raise ValueError(f"chunkFrames={self.chunk_frames} must exceed promptFrames={self.prompt_frames}")
        if self.features % 2:
            raise ValueError(f"features={self.features} must be even: positions are cosine and sine pairs")
        return self


class VocoderConfig(UpsamplingConfig):
    """A mel to a waveform by HiFi-GAN's generator; the defaults are the official v4 sizes."""

    bands: int = Field(100, ge=1, le=1024)
    sample_rate: int = Field(48000, ge=8000, le=192000)
    upsample_rates: PositiveInts = (10, 6, 2, 2, 2)
    upsample_kernels: PositiveInts = (20, 12, 4, 4, 4)


class BigVganConfig(UpsamplingConfig):
    """A mel to a waveform by BigVGAN; the defaults are bigvgan_v2_24khz_100band_256x, the vocoder of v3."""

    bands: int = Field(100, ge=1, le=1024)
    sample_rate: int = Field(24000, ge=8000, le=192000)
    upsample_rates: PositiveInts = (4, 4, 2, 2, 2, 2)
    upsample_kernels: PositiveInts = (8, 8, 4, 4, 4, 4)
    upsample_channels: int = Field(1536, ge=1, le=8192)


class SpeakerEncoderConfig(ModelConfig):
    """ERes2NetV2, the speaker-verification network of the Pro family; the defaults are w24s4ep4."""

    bands: int = Field(80, ge=8, le=1024, multiple_of=8, description="Of the filterbank; three stages halve them.")
    channels: int = Field(64, ge=8, le=1024, description="After the first convolution; later stages double them.")
    base_width: int = Field(24, ge=1, le=1024, description="Channels per branch of a block of 64.")
    scale: int = Field(4, ge=2, le=16, description="Branches of a block.")
    expansion: int = Field(4, ge=1, le=16)
    blocks: tuple[int, int, int, int] = (3, 4, 6, 3)
    embedding: int = Field(192, ge=1, le=8192)

    @property
    def vector(self) -> int:
        """Width of the vector that the Pro family takes: the last stage's channels times its bands."""
        return self.channels * 8 * self.expansion * (self.bands // 8)


class DiscriminatorConfig(ModelConfig):
    """The discriminators of training: one over the waveform, one per period."""

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
    """The official v2Pro synthesizer: v2 with a speaker-verification vector and a wider speaker embedding."""
    return SynthesizerConfig(speaker_embedding=1024, speaker_vector=20480, dropout=0.0)


def s2_v2_pro_plus() -> SynthesizerConfig:
    """The official v2ProPlus synthesizer: v2Pro with a wider waveform generator."""
    return s2_v2_pro().model_copy(update={"upsample_channels": 768, "upsample_kernels": (20, 16, 8, 2, 2)})


def s2_v3() -> MelSynthesizerConfig:
    """The official v3 synthesizer: a mel of 93.75 frames per second at 24 kHz."""
    return MelSynthesizerConfig(
        mel=MelConfig(sample_rate=24000, n_fft=1024, hop=256),
        mel_frames_per_latent=1.875,
        prompt_frames=468,
        chunk_frames=934,
    )


def s2_v4() -> MelSynthesizerConfig:
    """The official v4 synthesizer: a mel of 100 frames per second at 32 kHz, with a vocoder at 48 kHz."""
    return MelSynthesizerConfig()
