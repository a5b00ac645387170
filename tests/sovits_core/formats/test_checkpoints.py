from pathlib import Path

import pytest
import torch
from torch import nn

from sovits_core.errors import CheckpointMismatch, SovitsError
from sovits_core.formats.checkpoints import load_weights, save_weights
from sovits_core.models import Synthesizer, SynthesizerConfig
from sovits_core.models.networks import Networks
from sovits_core.models.normed import is_folded
from sovits_core.official.names import load_official, official_keys, to_official

PRO_PERIODS = (2, 3, 5, 7, 11, 17, 23)


@pytest.mark.parametrize("part", ["s1", "s2"])
def test_official_names_and_back_lose_nothing(networks: Networks, part: str) -> None:
    module = networks.get_submodule(part)
    stored = {key: tensor.clone() for key, tensor in to_official(module).items()}
    assert not set(stored) & set(module.state_dict())
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
    load_official(module, stored)
    for key, tensor in to_official(module).items():
        assert torch.equal(tensor, stored[key])


def test_every_mismatch_is_named(networks: Networks) -> None:
    weights = to_official(networks.s1)
    weights["model.surprise"] = weights.pop("model.bert_proj.bias")
    weights["model.ar_audio_position.alpha"] = torch.ones(2)
    with pytest.raises(CheckpointMismatch) as caught:
        load_official(networks.s1, weights)
    assert caught.value.differences == (
        "model.bert_proj.bias is missing",
        "model.surprise is unknown",
        "model.ar_audio_position.alpha has shape [2] instead of [1]",
    )


def test_split_weights_do_not_enter_a_folded_network(networks: Networks, small_s2: SynthesizerConfig) -> None:
    with pytest.raises(CheckpointMismatch, match="folded"):
        load_official(networks.s2, to_official(Synthesizer(small_s2)))


def test_a_module_without_official_names_is_refused() -> None:
    with pytest.raises(SovitsError, match="Linear"):
        official_keys(nn.Linear(1, 1))


@pytest.mark.parametrize("folded", [pytest.param(True, id="folded"), pytest.param(False, id="split")])
def test_a_saved_network_comes_back_as_it_was(tmp_path: Path, small_s2: SynthesizerConfig, folded: bool) -> None:
    original, loaded = Synthesizer(small_s2).half().float(), Synthesizer(small_s2)
    if folded:
        original.fold_weight_norm()
    save_weights(original, tmp_path / "s2g.safetensors")
    load_weights(loaded, tmp_path / "s2g.safetensors")
    assert is_folded(loaded) == folded
    for key, tensor in original.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], tensor.half().float())


def test_a_file_of_another_network_is_refused_by_name(tmp_path: Path, networks: Networks) -> None:
    save_weights(networks.s1, tmp_path / "s1.safetensors")
    with pytest.raises(CheckpointMismatch, match=r"s1.safetensors .*ssl_projection.weight is missing"):
        load_weights(networks.s2, tmp_path / "s1.safetensors")


@pytest.mark.parametrize("content", [pytest.param(b"", id="empty"), pytest.param(b"PK\x03\x04 pickle", id="a zip")])
def test_a_file_that_is_no_safetensors_is_refused(tmp_path: Path, networks: Networks, content: bytes) -> None:
    (tmp_path / "s1.safetensors").write_bytes(content)
    with pytest.raises(CheckpointMismatch, match="not a readable safetensors file"):
        load_weights(networks.s1, tmp_path / "s1.safetensors")
