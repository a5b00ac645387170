import pytest
from pydantic import ValidationError

from sovits_core.bundle.model_config import (
    DiscriminatorConfig,
    ModelConfig,
    SynthesizerConfig,
    TextToSemanticConfig,
    s2_v2_pro_plus,
)


@pytest.mark.parametrize("config", [TextToSemanticConfig(heads=8), s2_v2_pro_plus(), DiscriminatorConfig(periods=(2,))])
def test_a_configuration_survives_json(config: ModelConfig) -> None:
    for by_alias in (True, False):
        assert type(config).model_validate_json(config.model_dump_json(by_alias=by_alias)) == config


def test_json_is_in_camel_case() -> None:
    assert TextToSemanticConfig().model_dump(by_alias=True)["bertDim"] == 1024


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        (TextToSemanticConfig, {"hidden": 30, "heads": 4}, "hidden=30"),
        (TextToSemanticConfig, {"layer": 3}, "layer"),
        (SynthesizerConfig, {"latent": 7}, "latent=7 must be even"),
        (SynthesizerConfig, {"hidden": 9}, "hidden=9"),
        (SynthesizerConfig, {"crossHidden": 9}, "crossHidden=9"),
        (SynthesizerConfig, {"referenceHidden": 9}, "referenceHidden=9"),
        (SynthesizerConfig, {"referenceBins": 2000}, "referenceBins=2000 exceeds"),
        (SynthesizerConfig, {"upsampleRates": [2]}, "one entry per stage"),
        (SynthesizerConfig, {"upsampleRates": [2], "upsampleKernels": [3]}, "kernel 3 must exceed its rate 2"),
        (SynthesizerConfig, {"upsampleChannels": 40}, "upsampleChannels=40 must halve"),
        (SynthesizerConfig, {"blockKernels": [3]}, "one entry per block"),
        (SynthesizerConfig, {"blockKernels": [3, 4, 5]}, "must be odd"),
        (DiscriminatorConfig, {"scaleChannels": [6, 8, 8, 8, 8, 8]}, "groups of 4"),
    ],
)
def test_networks_that_cannot_be_built_are_refused(
    kind: type[ModelConfig], fields: dict[str, object], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        kind.model_validate(fields)


def test_the_hop_is_the_product_of_the_rates() -> None:
    assert SynthesizerConfig().hop == 640
    assert TextToSemanticConfig().end_token == 1024


def test_a_base_imported_by_the_first_release_is_read_by_its_older_field_names() -> None:
    config = SynthesizerConfig(codebook_size=300, speaker_embedding=64)
    document = config.model_dump(by_alias=True)
    document["codes"], document["timbre"] = document.pop("codebookSize"), document.pop("speakerEmbedding")
    assert SynthesizerConfig.model_validate(document) == config
