"""The configuration of a run: sizes of all networks, budgets of all stages, corpora; one document, `--config`."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from sovits_core.bundle.model_config import DiscriminatorConfig, ModelConfig, SynthesizerConfig, TextToSemanticConfig
from tiny_base.acoustics import LATENT
from tiny_base.subbands import MIN_CHANNELS, RATES
from tiny_base.tokens import LOGITS, TOKENS


class HubertSizes(ModelConfig):
    """The speech encoder: `transformers.HubertModel` at these sizes, 50 frames a second from 16 kHz."""

    # The codebook is in the space of the linear head's logits, which must fit.
    hidden: int = Field(160, ge=LOGITS)
    layers: int = Field(4, ge=1)
    heads: int = Field(4, ge=1)
    feed_forward: int = Field(480, ge=8)
    convolution: int = Field(96, ge=8, description="Channels of all seven convolutions.")


class Shares(ModelConfig):
    """Fractions of the minutes that each stage gets; the order of the fields is that of the stages."""

    encoder: float = Field(0.2, gt=0, lt=1)
    prior: float = Field(0.24, gt=0, lt=1)
    adversarial_refinement: float = Field(0.08, gt=0, lt=1)
    subband_regression: float = Field(0.21, gt=0, lt=1)
    waveform_adversarial: float = Field(0.03, gt=0, lt=1)
    semantic: float = Field(0.24, gt=0, lt=1)

    @model_validator(mode="after")
    def _make_one(self) -> Self:
        total = sum(self.model_dump().values())
        if abs(total - 1) > 1e-6:
            raise ValueError(f"the shares add up to {total:g} and must make 1")
        return self


class TinyBaseConfig(ModelConfig):
    """All numbers of one run; the defaults are those of the tiny base in the repository."""

    name: str = "tiny"
    seed: int = 2026
    sentences: int = Field(2600, ge=8, description="Sentences composed for the audio corpus, about 3.2 s each.")
    text_corpus_sentences: int = Field(12_000, ge=0, description="Further sentences for the text-only corpus.")
    threads: int = Field(1, ge=1, le=64)
    shares: Shares = Shares()
    hubert: HubertSizes = HubertSizes()
    # The first stage of "upsampling" keeps the rate: at 50 Hz layers may be wide and cost next to nothing.
    s2: SynthesizerConfig = SynthesizerConfig(
        codebook_size=len(TOKENS), ssl_dim=160, latent=LATENT, hidden=128, filter=256, heads=2, ssl_layers=1,
        text_layers=2, mixed_layers=2, dropout=0.05, cross_hidden=128, cross_heads=2, speaker_embedding=128,
        reference_hidden=64, posterior_layers=2, flows=2, flow_layers=1, wavenet_kernel=3, upsample_rates=RATES,
        upsample_kernels=(1, 15, 16, 8, 8), upsample_channels=512, block_kernels=(3,), block_dilations=((1, 3),),
        segment_frames=24,
    )  # fmt: skip
    s2d: DiscriminatorConfig = DiscriminatorConfig(
        periods=(2, 3, 5), scale_channels=(8, 16, 32, 64, 64, 64), period_channels=(8, 16, 32, 64, 64)
    )
    s1: TextToSemanticConfig = TextToSemanticConfig(
        vocabulary=len(TOKENS) + 1, bert_dim=8, hidden=128, heads=4, layers=6, feed_forward=384, dropout=0.0
    )

    @model_validator(mode="after")
    def _stages_meet(self) -> Self:
        for field, value, wanted in (
            ("s1.vocabulary", self.s1.vocabulary, len(TOKENS) + 1),
            ("s2.codebookSize", self.s2.codebook_size, len(TOKENS)),
            ("s2.latent", self.s2.latent, LATENT),
            ("s2.sslDim", self.s2.ssl_dim, self.hubert.hidden),
            ("s2.upsampleRates", self.s2.upsample_rates, RATES),
        ):
            if value != wanted:
                raise ValueError(f"{field}={value} must be {wanted}: the stages are made for that")
        if self.s2.upsample_channels < MIN_CHANNELS:
            raise ValueError(f"s2.upsampleChannels={self.s2.upsample_channels} must be at least {MIN_CHANNELS}")
        return self
