"""One thread, as a run of the stages uses, and a small configuration."""

import pytest
import torch

from sovits_core.bundle.model_config import DiscriminatorConfig, SynthesizerConfig, TextToSemanticConfig
from tiny_base.config import HubertSizes, TinyBaseConfig
from tiny_base.subbands import RATES
from tiny_base.tokens import TOKENS


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def smallest() -> TinyBaseConfig:
    """The smallest networks that all stages take."""
    return TinyBaseConfig(
        name="smallest",
        sentences=24,
        text_corpus_sentences=12,
        hubert=HubertSizes(hidden=88, layers=1, heads=2, feed_forward=32, convolution=16),
        s1=TextToSemanticConfig(vocabulary=len(TOKENS) + 1, bert_dim=4, hidden=32, heads=2, layers=3, feed_forward=32),
        s2=SynthesizerConfig(
            codebook_size=len(TOKENS), ssl_dim=88, latent=64, hidden=16, filter=16, ssl_layers=1, text_layers=1,
            mixed_layers=1, cross_hidden=16, cross_heads=2, speaker_embedding=16, reference_hidden=16,
            posterior_layers=1, flows=1, flow_layers=1, wavenet_kernel=3, upsample_rates=RATES,
            upsample_kernels=(1, 7, 16, 8, 8), upsample_channels=256, block_kernels=(3,), block_dilations=((1,),),
            segment_frames=8,
        ),
        s2d=DiscriminatorConfig(periods=(2,), scale_channels=(4, 4, 4, 4, 4, 4), period_channels=(4, 4, 4, 4, 4)),
    )  # fmt: skip
