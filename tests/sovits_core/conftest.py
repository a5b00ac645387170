"""Networks small enough to run in milliseconds, and what the official code answers."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from sovits_core.models import Synthesizer, SynthesizerConfig, TextToSemantic, TextToSemanticConfig
from sovits_core.models.networks import Networks

SMALL_S1 = TextToSemanticConfig(
    phonemes=40, vocabulary=33, bert_dim=8, hidden=32, heads=4, layers=3, feed_forward=64, dropout=0.1
)
SMALL_S2 = SynthesizerConfig(
    phonemes=40,
    codebook_size=32,
    ssl_dim=24,
    spectrogram_bins=129,
    sample_rate=16000,
    latent=16,
    hidden=16,
    filter=32,
    ssl_layers=1,
    text_layers=2,
    mixed_layers=1,
    cross_hidden=32,
    speaker_embedding=24,
    reference_bins=100,
    reference_hidden=16,
    posterior_layers=2,
    flow_layers=2,
    upsample_rates=(4, 4, 2),
    upsample_kernels=(8, 8, 4),
    upsample_channels=32,
    block_kernels=(3, 5),
    block_dilations=((1, 3), (1, 3)),
    segment_frames=8,
)

Golden = Callable[[str], tuple[dict[str, Tensor], dict[str, Tensor]]]


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def small_s2() -> SynthesizerConfig:
    return SMALL_S2


def make_networks() -> Networks:
    """Random small networks in evaluation mode, folded, whose weights float16 can hold exactly."""
    torch.manual_seed(0)
    made = Networks(TextToSemantic(SMALL_S1), Synthesizer(SMALL_S2)).eval()
    made.s2.fold_weight_norm()
    with torch.no_grad():
        for parameter in made.parameters():
            # a new waveform generator is next to silent, and a new flow does nothing; these shall be heard
            parameter.add_(0.05 * torch.randn_like(parameter))
            parameter.copy_(parameter.half().float())
    return made


@pytest.fixture
def networks() -> Networks:
    """For a test to change."""
    return make_networks()


@pytest.fixture(scope="module")
def small_networks() -> Networks:
    """For tests that share something made from them; nobody changes these."""
    return make_networks()


@pytest.fixture(scope="session")
def golden(shared: Path) -> Golden:
    """Name of a checkpoint to its weights by formula, and to inputs and answers of the official code."""
    folder = shared / "reference" / "golden"
    spec = importlib.util.spec_from_file_location("golden_weights", folder / "golden_weights.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def load(name: str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        weights = {key: torch.from_numpy(array) for key, array in module.golden_weights(name).items()}
        with np.load(folder / f"{name}.npz", allow_pickle=False) as answers:
            return weights, {key: torch.from_numpy(answers[key]) for key in answers.files}

    return load
