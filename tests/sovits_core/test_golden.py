"""The networks answer what the official code answers, with weights by formula (their making takes most of the time)."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from sovits_core.generation import generate
from sovits_core.model_config import DiscriminatorConfig, TextToSemanticConfig, s2_v1, s2_v2_pro, s2_v2_pro_plus
from sovits_core.models import Discriminator, Synthesizer, SynthesizerConfig, TextToSemantic
from sovits_core.official.names import load_official
from sovits_core.sampling import Sampling

Golden = Callable[[str], tuple[dict[str, Tensor], dict[str, Tensor]]]

TOLERANCE = 1e-4
"""Of the answer's own scale."""

pytestmark = pytest.mark.slow


def assert_agrees(ours: Tensor, official: Tensor) -> None:
    worst = (ours - official).abs().max() / official.abs().max()
    assert worst <= TOLERANCE, f"off by {worst:.2e} of the scale"


@torch.no_grad()
def test_s1(golden: Golden) -> None:
    weights, answers = golden("s1_v2plus")
    s1 = TextToSemantic(TextToSemanticConfig()).eval()
    load_official(s1, weights)
    phones, bert, prompt = answers["phones"][None], answers["bert"].T[None], answers["prompt"][None]
    lengths = torch.tensor([phones.shape[1]]), torch.tensor([prompt.shape[1]])
    assert_agrees(s1(phones, lengths[0], bert, prompt, lengths[1])[0], answers["logits"])
    assert_agrees(s1.prefill(phones, bert, prompt)[0][0], answers["logits"][-1])
    spoken = generate(s1, phones, bert, prompt, sampling=Sampling(top_k=1), seed=0, most_steps=100)
    assert spoken[0].tolist() == answers["greedy"].tolist()


@pytest.mark.parametrize(
    ("checkpoint", "config"),
    [
        ("s2G_v1", s2_v1()),
        ("s2G_v2", SynthesizerConfig()),
        ("s2G_v2Pro", s2_v2_pro()),
        ("s2G_v2ProPlus", s2_v2_pro_plus()),
    ],
)
@torch.no_grad()
def test_s2(golden: Golden, checkpoint: str, config: SynthesizerConfig) -> None:
    weights, answers = golden(checkpoint)
    answers = {key: tensor[None] for key, tensor in answers.items()}
    s2 = Synthesizer(config).eval()
    load_official(s2, weights)
    assert torch.equal(s2.quantize(answers["ssl"]), answers["codes_from_ssl"])
    vector = None if config.speaker_vector is None else answers["sv"]
    assert_agrees(s2.timbre(answers["refer_spec"], sv=vector)[:, :, 0], answers["ge"])

    ge, noise = answers["ge"][:, :, None], 0.5 * answers["noise"]
    mean, log_deviation, mask = s2.prior(answers["codes"], answers["text"], ge)
    assert_agrees(mean, answers["m_p"])
    assert_agrees(log_deviation, answers["logs_p"])
    assert_agrees(s2.flow(mean + noise * log_deviation.exp(), mask, ge, reverse=True), answers["z"])
    z_q, m_q, logs_q = s2.posterior(answers["spec"], mask, ge, answers["noise_q"])
    assert_agrees(z_q, answers["z_q"])
    assert_agrees(m_q, answers["m_q"])
    assert_agrees(logs_q, answers["logs_q"])
    assert_agrees(s2.flow(z_q, mask, ge), answers["flow_of_z_q"])
    assert_agrees(s2.decode(answers["codes"], answers["text"], ge, noise)[:, 0], answers["wav"])
    s2.fold_weight_norm()
    assert_agrees(s2.decode(answers["codes"], answers["text"], ge, noise)[:, 0], answers["wav"])


@pytest.mark.parametrize(
    ("checkpoint", "periods"), [("s2D_v1v2", (2, 3, 5, 7, 11)), ("s2D_v2Pro", (2, 3, 5, 7, 11, 17, 23))]
)
@torch.no_grad()
def test_discriminator(golden: Golden, checkpoint: str, periods: tuple[int, ...]) -> None:
    weights, answers = golden(checkpoint)
    discriminator = Discriminator(DiscriminatorConfig(periods=periods))
    load_official(discriminator, weights)
    real = discriminator(answers["real"])
    assert_agrees(torch.cat([score[0] for score, _ in real]), answers["scores_real"])
    generated = discriminator(answers["generated"])
    assert_agrees(torch.cat([score[0] for score, _ in generated]), answers["scores_generated"])
    means = torch.stack([feature.abs().mean() for _, features in real for feature in features])
    assert_agrees(means, answers["feature_means"])
