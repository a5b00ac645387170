"""What a pretraining run makes and how long each stage may take: one small document, `--config`."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from sovits_core.model_config import DiscriminatorConfig, ModelConfig, SynthesizerConfig, TextToSemanticConfig


class HubertSizes(ModelConfig):
    """The speech encoder: `transformers.HubertModel` at these sizes, 50 frames a second from 16 kHz."""

    # The codebook is learnt on 74 linear readings, which must fit.
    hidden: int = Field(160, ge=80)
    layers: int = Field(4, ge=1)
    heads: int = Field(4, ge=1)
    feed_forward: int = Field(480, ge=8)
    convolution: int = Field(96, ge=8, description="Channels of all seven convolutions.")


class Shares(ModelConfig):
    """How the minutes are split between the stages, in their order."""

    encoder: float = Field(0.16, gt=0, lt=1)
    sound: float = Field(0.4, gt=0, lt=1)
    prior: float = Field(0.12, gt=0, lt=1)
    together: float = Field(0.16, gt=0, lt=1)
    semantic: float = Field(0.16, gt=0, lt=1)

    @model_validator(mode="after")
    def _make_one(self) -> Self:
        total = self.encoder + self.sound + self.prior + self.together + self.semantic
        if abs(total - 1) > 1e-6:
            raise ValueError(f"the shares add up to {total:g} and must make 1")
        return self


class PretrainConfig(ModelConfig):
    """All numbers of one run; the defaults are those of the tiny base in the repository."""

    name: str = "tiny"
    seed: int = 2026
    sentences: int = Field(1500, ge=8, description="How many sentences flite speaks, about 3.2 seconds each.")
    threads: int = Field(1, ge=1, le=64)
    shares: Shares = Shares()
    hubert: HubertSizes = HubertSizes()
    # Three stages of upsampling in place of five: on a CPU wide short convolutions cost less than narrow long ones.
    s2: SynthesizerConfig = SynthesizerConfig(
        codes=512, ssl_dim=160, latent=64, hidden=96, filter=160, heads=2, ssl_layers=1, text_layers=2, mixed_layers=2,
        dropout=0.05, cross_hidden=128, cross_heads=2, timbre=128, reference_hidden=64, posterior_layers=5, flows=2,
        flow_layers=3, wavenet_kernel=3, upsample_rates=(10, 8, 8), upsample_kernels=(20, 16, 16),
        upsample_channels=128, block_kernels=(3, 7), block_dilations=((1, 3), (1, 3)), segment_frames=24,
    )  # fmt: skip
    s2d: DiscriminatorConfig = DiscriminatorConfig(
        periods=(2, 3, 5), scale_channels=(8, 16, 32, 64, 64, 64), period_channels=(8, 16, 32, 64, 64)
    )
    s1: TextToSemanticConfig = TextToSemanticConfig(
        vocabulary=513, bert_dim=8, hidden=128, heads=4, layers=6, feed_forward=448, dropout=0.1
    )

    @model_validator(mode="after")
    def _stages_meet(self) -> Self:
        if self.s1.vocabulary != self.s2.codes + 1:
            raise ValueError(f"s1.vocabulary={self.s1.vocabulary} must be s2.codes={self.s2.codes} and one more")
        if self.s2.ssl_dim != self.hubert.hidden:
            raise ValueError(f"s2.sslDim={self.s2.ssl_dim} must be hubert.hidden={self.hubert.hidden}")
        return self
