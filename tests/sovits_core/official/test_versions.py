"""Part and version are told by structure; what the shapes leave open, by head, settings and the user."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from sovits_core.bundle.model_config import (
    BigVganConfig,
    DiscriminatorConfig,
    SpeakerEncoderConfig,
    TextToSemanticConfig,
    VocoderConfig,
)
from sovits_core.errors import CheckpointMismatch, OfficialFileRejected
from sovits_core.models import Discriminator, SpeakerEncoder, Synthesizer, TextToSemantic
from sovits_core.official.files import OfficialFile
from sovits_core.official.loading import MEL_CONFIGS, S2_CONFIGS, load_s1
from sovits_core.official.lora import merge_lora
from sovits_core.official.names import to_official
from sovits_core.official.settings import s1_settings
from sovits_core.official.versions import Detected, Part, choose_version, detect, s1_config
from sovits_core.reference.bigvgan import BigVgan
from sovits_core.reference.mel_synthesizer import MelSynthesizer
from sovits_core.reference.vocoder import Vocoder

PRO = ("v2Pro", "v2ProPlus")


def shapes_of(make: Callable[[], nn.Module]) -> dict[str, Tensor]:
    with torch.device("meta"):
        return to_official(make())


@pytest.mark.parametrize(
    ("make", "part", "versions"),
    [
        (lambda: TextToSemantic(TextToSemanticConfig(layers=1, phonemes=512)), Part.S1, ("v1",)),
        (lambda: TextToSemantic(TextToSemanticConfig(layers=1)), Part.S1, ("v2", *PRO, "v3", "v4")),
        *((lambda config=config: Synthesizer(config), Part.S2, (version,)) for version, config in S2_CONFIGS.items()),
        (lambda: MelSynthesizer(MEL_CONFIGS["v3"]), Part.S2, ("v3", "v4")),
        (lambda: MelSynthesizer(MEL_CONFIGS["v4"]), Part.S2, ("v3", "v4")),
        (lambda: Discriminator(DiscriminatorConfig()), Part.S2D, ("v1", "v2")),
        (lambda: Discriminator(DiscriminatorConfig(periods=(2, 3, 5, 7, 11, 17, 23))), Part.S2D, PRO),
        (lambda: Vocoder(VocoderConfig()), Part.VOCODER, ("v4",)),
        (lambda: BigVgan(BigVganConfig()), Part.BIGVGAN, ("v3",)),
        (lambda: SpeakerEncoder(SpeakerEncoderConfig()), Part.SPEAKER, PRO),
    ],
)
def test_structure_tells_part_and_versions(
    make: Callable[[], nn.Module], part: Part, versions: tuple[str, ...]
) -> None:
    found = detect(shapes_of(make))
    assert (found.part, found.versions) == (part, versions)
    assert found.posterior is (part == Part.S2 and versions != ("v3", "v4"))


def test_a_fine_tuned_file_is_told_by_its_missing_posterior_encoder() -> None:
    weights = shapes_of(lambda: Synthesizer(S2_CONFIGS["v2"]))
    tuned = {key: tensor for key, tensor in weights.items() if not key.startswith("enc_q.")}
    assert detect(tuned) == Detected(Part.S2, ("v2",), posterior=False)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"fc.weight": (2, 2)}, r"no part of the family \(its keys begin: fc.weight\)"),
        ({"enc_p.text_embedding.weight": (400, 192), "dec.conv_pre.weight": (512, 192, 7)}, "has 400 rows"),
        ({"enc_p.text_embedding.weight": (), "dec.conv_pre.weight": (512, 192, 7)}, "missing or is a single number"),
        ({"model.ar_text_embedding.word_embeddings.weight": (600, 512)}, "has 600 rows"),
        ({"discriminators.0.convs.0.bias": (16,)}, "it has 1 discriminators"),
    ],
)
def test_what_is_of_no_version_is_refused(weights: dict[str, tuple[int, ...]], message: str) -> None:
    with pytest.raises(OfficialFileRejected, match=message):
        detect({key: torch.empty(shape, device="meta") for key, shape in weights.items()})


@pytest.mark.parametrize(
    ("versions", "head", "recorded", "asked", "chosen"),
    [
        (("v2",), "PK", None, None, "v2"),
        (("v2",), "PK", "v1", "v2", "v2"),
        (("v3", "v4"), "02", None, None, "v3"),
        (("v3", "v4"), "04", None, None, "v4"),
        (("v3", "v4"), "PK", "v4", None, "v4"),
        (("v3", "v4"), "PK", None, "v4", "v4"),
        (("v3", "v4"), "PK", "v2", "v4", "v4"),
    ],
)
def test_the_version_is_chosen(
    versions: tuple, head: str, recorded: str | None, asked: str | None, chosen: str
) -> None:
    config = {"model": {"version": recorded}} if recorded else {}
    assert choose_version(Detected(Part.S2, versions), head, config, asked) == chosen


@pytest.mark.parametrize(
    ("versions", "head", "asked", "message"),
    [
        (("v2",), "PK", "v2Pro", "are those of v2, but v2Pro is wanted"),
        (("v3", "v4"), "03", "v4", "it is of v3, but v4 is wanted"),
        (("v3", "v4"), "PK", None, "add --version"),
        (("v3", "v4"), "PK", "v9", "version 'v9' is not known"),
    ],
)
def test_another_version_than_the_wanted_one_is_refused_and_both_are_named(
    versions: tuple, head: str, asked: str | None, message: str
) -> None:
    with pytest.raises(OfficialFileRejected, match=message):
        choose_version(Detected(Part.S2, versions), head, {}, asked)


@pytest.fixture(scope="module")
def small_s1() -> OfficialFile:
    torch.manual_seed(0)
    config = TextToSemanticConfig(vocabulary=33, bert_dim=8, hidden=32, heads=4, layers=2, feed_forward=64)
    return OfficialFile("x.ckpt", to_official(TextToSemantic(config)), config=s1_settings(config))


def test_an_s1_is_built_at_the_sizes_of_its_file(small_s1: OfficialFile) -> None:
    config = s1_config(small_s1.weights, small_s1.config)
    assert (config.heads, config.layers, config.hidden, config.end_token) == (4, 2, 32, 32)
    loaded = to_official(load_s1(small_s1))
    assert loaded.keys() == small_s1.weights.keys()
    assert all(torch.equal(loaded[key], tensor) for key, tensor in small_s1.weights.items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_layer": 3}, "settings say n_layer 3, its weights 2"),
        ({"head": 5}, "its sizes are impossible"),
    ],
)
def test_settings_that_contradict_the_weights_are_refused(
    small_s1: OfficialFile, change: dict[str, int], message: str
) -> None:
    with pytest.raises(OfficialFileRejected, match=message):
        s1_config(small_s1.weights, {"model": {**small_s1.config["model"], **change}})


@pytest.mark.parametrize(
    ("key", "shape", "message"),
    [
        ("model.h.layers.1.norm1.weight", None, "model.h.layers.1.norm1.weight is missing"),
        ("model.h.layers.1.norm1.weight", (31,), r"norm1.weight has shape \[31\] instead of \[32\]"),
        ("model.extra", (1,), "model.extra is unknown"),
        ("model.bert_proj.weight", (8,), "model.bert_proj.weight has 1 dimensions instead of 2"),
    ],
)
def test_every_key_that_does_not_fit_is_named_with_its_file(
    small_s1: OfficialFile, key: str, shape: tuple[int, ...] | None, message: str
) -> None:
    weights = {**small_s1.weights, key: torch.zeros(shape or ())}
    if shape is None:
        del weights[key]
    with pytest.raises((CheckpointMismatch, OfficialFileRejected), match=f"x.ckpt.*{message}"):
        load_s1(OfficialFile("x.ckpt", weights, config=small_s1.config))


LAYER = "estimator.transformer_blocks.0.attn.to_q"


def lora_file(rank: int | None = 2, **changes: Tensor) -> OfficialFile:
    torch.manual_seed(0)
    prefix = f"cfm.base_model.model.{LAYER}"
    weights = {
        f"{prefix}.lora_A.default.weight": torch.randn(2, 6),
        f"{prefix}.lora_B.default.weight": torch.randn(4, 2),
        "bridge.0.weight": torch.ones(3),
        "quantizer.vq.layers.0._codebook.embed": torch.zeros(9),
        "cfm.base_model.model.estimator.rotary_embed.inv_freq": torch.zeros(9),
        **changes,
    }
    return OfficialFile("voice.pth", weights, lora_rank=rank)


BASE = {
    f"cfm.{LAYER}.weight": torch.arange(24.0).reshape(4, 6),
    "bridge.0.weight": torch.zeros(3),
    "quantizer.vq.layers.0._codebook.embed": torch.ones(2),
}


def test_a_lora_file_is_merged_and_its_whole_parts_replace_the_base_s() -> None:
    lora = lora_file()
    assert detect(lora.weights).part == Part.LORA
    merged = merge_lora(BASE, lora)
    a, b = list(lora.weights.values())[:2]
    assert torch.allclose(merged[f"cfm.{LAYER}.weight"], BASE[f"cfm.{LAYER}.weight"] + b @ a)
    assert torch.equal(merged["bridge.0.weight"], torch.ones(3))
    assert torch.equal(merged["quantizer.vq.layers.0._codebook.embed"], torch.ones(2))
    assert merged.keys() == BASE.keys()


@pytest.mark.parametrize(
    ("lora", "message"),
    [
        (lora_file(rank=8), "have rank 2, the file says 8"),
        (lora_file(**{"bridge.0.weight": torch.ones(4)}), r"bridge.0.weight has shape \[4\] instead of \[3\]"),
        (lora_file(**{"bridge.7.weight": torch.ones(4)}), "bridge.7.weight is unknown"),
        (lora_file(**{"cfm.base_model.model.x.lora_A.default.weight": torch.ones(2, 6)}), "are for no layer"),
        (lora_file(**{f"cfm.base_model.model.{LAYER}.lora_B.default.weight": torch.ones(4, 3)}), "have shapes"),
    ],
)
def test_a_lora_file_that_does_not_fit_is_refused(lora: OfficialFile, message: str) -> None:
    with pytest.raises(CheckpointMismatch, match=f"voice.pth.*{message}"):
        merge_lora(BASE, lora)
