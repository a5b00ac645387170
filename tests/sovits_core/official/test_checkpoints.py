"""All ten kinds of official checkpoint, at full size, load strictly and come back whole."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from sovits_core.bundle.model_config import (
    DiscriminatorConfig,
    SpeakerEncoderConfig,
    TextToSemanticConfig,
    VocoderConfig,
    s2_v1,
    s2_v2_pro,
    s2_v2_pro_plus,
    s2_v3,
    s2_v4,
)
from sovits_core.errors import CheckpointMismatch
from sovits_core.models import Discriminator, SpeakerEncoder, Synthesizer, SynthesizerConfig, TextToSemantic
from sovits_core.official.names import load_official, to_official
from sovits_core.reference.mel_synthesizer import MelSynthesizer
from sovits_core.reference.vocoder import Vocoder

PRO_PERIODS = (2, 3, 5, 7, 11, 17, 23)

OFFICIAL: dict[str, Callable[[], nn.Module]] = {
    "s1_v1": lambda: TextToSemantic(TextToSemanticConfig(phonemes=512)),
    "s1_v2plus": lambda: TextToSemantic(TextToSemanticConfig()),
    "s2G_v1": lambda: Synthesizer(s2_v1()),
    "s2G_v2": lambda: Synthesizer(SynthesizerConfig()),
    "s2G_v2Pro": lambda: Synthesizer(s2_v2_pro()),
    "s2G_v2ProPlus": lambda: Synthesizer(s2_v2_pro_plus()),
    "s2G_v3v4": lambda: MelSynthesizer(s2_v3()),
    "s2D_v1v2": lambda: Discriminator(DiscriminatorConfig()),
    "s2D_v2Pro": lambda: Discriminator(DiscriminatorConfig(periods=PRO_PERIODS)),
    "v4_vocoder": lambda: Vocoder(VocoderConfig()),
    "sv": lambda: SpeakerEncoder(SpeakerEncoderConfig()),
}


def shapes_of(shared: Path, checkpoint: str) -> dict[str, tuple[int, ...]]:
    with (shared / "reference" / "state_dict_manifest.tsv").open() as lines:
        return {
            row["key"]: tuple(int(size) for size in row["shape"].split("x")) if row["shape"] else ()
            for row in csv.DictReader(lines, delimiter="\t")
            if row["checkpoint"] == checkpoint
        }


def unfilled(checkpoint: str) -> nn.Module:
    """In half precision and without initial values: the largest has 384 million."""
    with torch.device("meta"):
        module = OFFICIAL[checkpoint]().half()
    return module.to_empty(device="cpu")


@pytest.mark.parametrize("checkpoint", OFFICIAL)
def test_every_official_tensor_finds_its_place_and_comes_back(shared: Path, checkpoint: str) -> None:
    shapes = shapes_of(shared, checkpoint)
    # one number per tensor, which half precision still tells apart and which needs no memory
    weights = {key: torch.tensor(float(place)).expand(shape) for place, (key, shape) in enumerate(shapes.items())}
    module = unfilled(checkpoint)
    load_official(module, weights)
    returned = to_official(module)
    assert {key: tuple(tensor.shape) for key, tensor in returned.items()} == shapes
    for place, key in enumerate(shapes):
        tensor = returned[key]
        assert tensor.min() == place, key
        assert tensor.max() == place, key


@pytest.mark.parametrize("checkpoint", ["s2G_v3v4", "v4_vocoder", "sv"])
def test_a_missing_an_unknown_and_a_misshapen_tensor_are_named(shared: Path, checkpoint: str) -> None:
    shapes = shapes_of(shared, checkpoint)
    first, second = list(shapes)[:2]
    weights: dict[str, Tensor] = {key: torch.zeros(1).expand(1, *shape) for key, shape in shapes.items()}
    weights = {key: tensor[0] for key, tensor in weights.items()}
    del weights[first]
    weights["surprise"] = torch.zeros(())
    weights[second] = torch.zeros(3, 1, 4, 1, 5)
    with torch.device("meta"):
        module = OFFICIAL[checkpoint]()
    with pytest.raises(CheckpointMismatch) as caught:
        load_official(module, weights)
    assert caught.value.differences == (
        f"{first} is missing",
        "surprise is unknown",
        f"{second} has shape [3, 1, 4, 1, 5] instead of {list(shapes[second])}",
    )


def test_v3_and_v4_hold_the_same_tensors() -> None:
    with torch.device("meta"):
        third, fourth = MelSynthesizer(s2_v3()), MelSynthesizer(s2_v4())
    assert {k: v.shape for k, v in third.state_dict().items()} == {k: v.shape for k, v in fourth.state_dict().items()}
