import json
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file
from torch import Tensor

from sovits_core.errors import AdapterRejected
from sovits_core.formats.adapters import (
    CONFIG_FILE,
    GROUPS,
    WEIGHTS_FILE,
    Target,
    adapter_tensors,
    attach_adapter,
    load_adapter,
    merge,
    save_adapter,
)
from sovits_core.models.networks import Networks

EVERYTHING: tuple[Target, ...] = tuple(GROUPS)


def speak(networks: Networks) -> tuple[Tensor, Tensor]:
    """S1's logits and S2's waveform of one fixed utterance."""
    phones, codes = torch.arange(6)[None], torch.arange(8)[None]
    logits = networks.s1(phones, torch.tensor([6]), None, codes, torch.tensor([8]))
    torch.manual_seed(9)
    ge, noise = torch.randn(1, 24, 1), torch.randn(1, 16, 16)
    return logits, networks.s2.decode(codes, phones, ge, noise)


def trained(networks: Networks, targets: tuple[Target, ...]) -> PeftModel:
    """An adapter of which every matrix says something."""
    model = attach_adapter(networks, 3, targets, seed=1)
    torch.manual_seed(4)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.copy_((0.3 * torch.randn_like(parameter)).half())
    return model


@pytest.mark.parametrize("targets", [("attention",), EVERYTHING], ids=["attention", "everything"])
def test_every_matrix_has_gradient_and_effect(networks: Networks, targets: tuple[Target, ...]) -> None:
    model = trained(networks, targets)
    matrices = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert all(".lora_" in name for name in matrices)
    logits, wav = speak(networks)
    (logits.square().sum() + 1000 * wav.square().sum()).backward()
    for name, matrix in matrices.items():
        # a key's bias shifts all scores of a row alike, but its matrix does not
        assert matrix.grad is not None, name
        assert matrix.grad.abs().max() > 0, name
    for name, matrix in matrices.items():
        with torch.no_grad():
            before = matrix.clone()
            matrix.mul_(-4)
            changed_logits, changed_wav = speak(networks)
            matrix.copy_(before)
        assert not (torch.equal(changed_logits, logits) and torch.equal(changed_wav, wav)), name


def test_a_fresh_adapter_changes_nothing_and_depends_on_its_seed_alone(networks: Networks) -> None:
    plain = speak(networks)
    state = torch.get_rng_state()
    first = attach_adapter(networks, 2, ("attention",), seed=7)
    for before, after in zip(plain, speak(networks), strict=True):
        torch.testing.assert_close(before, after)
    drawn = adapter_tensors(first)
    torch.set_rng_state(state)
    torch.rand(5)
    again = adapter_tensors(attach_adapter(merge(first), 2, ("attention",), seed=7))
    assert all(torch.equal(again[key], tensor) for key, tensor in drawn.items())
    other = adapter_tensors(attach_adapter(merge(first), 2, ("attention",), seed=8))
    assert not any(torch.equal(other[key], tensor) for key, tensor in drawn.items() if "lora_A" in key)


@pytest.mark.parametrize("targets", [("attention",), EVERYTHING], ids=["attention", "everything"])
@torch.no_grad()
def test_merged_speaks_as_unmerged(networks: Networks, targets: tuple[Target, ...]) -> None:
    plain = speak(networks)
    model = trained(networks, targets)
    adapted = speak(networks)
    merged = merge(model)
    assert not any("lora" in name for name, _ in merged.named_parameters())
    for before, unmerged, after in zip(plain, adapted, speak(merged), strict=True):
        assert not torch.allclose(before, unmerged, atol=1e-4)
        torch.testing.assert_close(unmerged, after, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_saved_adapter_speaks_the_same_from_its_files(networks: Networks, tmp_path: Path) -> None:
    model = trained(networks, ("attention",))
    expected = speak(networks)
    save_adapter(model, tmp_path)
    plain = model.unload()
    loaded = load_adapter(plain, tmp_path)
    for ours, theirs in zip(expected, speak(plain), strict=True):
        torch.testing.assert_close(ours, theirs)
    assert adapter_tensors(loaded).keys() == load_file(tmp_path / WEIGHTS_FILE).keys()


def test_the_files_are_in_pefts_layout(networks: Networks, tmp_path: Path) -> None:
    save_adapter(trained(networks, ("attention",)), tmp_path)
    tensors = load_file(tmp_path / WEIGHTS_FILE)
    assert tensors["base_model.model.s1.layers.0.attention.qkv.lora_A.weight"].shape == (3, 32)
    assert tensors["base_model.model.s1.layers.0.attention.qkv.lora_B.weight"].shape == (96, 3)
    assert tensors["base_model.model.s2.content_encoder.cross_attention.attention.q.lora_A.weight"].shape == (3, 32, 1)
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
    # 3 layers of S1 with two modules; 1 + 2 + 1 encoder layers and the cross attention with four
    assert len(tensors) == 2 * (3 * 2 + (4 + 1) * 4)
    config = json.loads((tmp_path / CONFIG_FILE).read_text())
    assert (config["peft_type"], config["r"], config["lora_alpha"]) == ("LORA", 3, 3)


def test_an_adapter_that_diverged_is_not_saved(networks: Networks, tmp_path: Path) -> None:
    model = trained(networks, ("attention",))
    with torch.no_grad():
        next(parameter for parameter in model.parameters() if parameter.requires_grad).fill_(1e6)
    with pytest.raises(AdapterRejected, match="not finite in float16"):
        save_adapter(model, tmp_path)


@pytest.mark.parametrize(("rank", "targets"), [(0, ("attention",)), (129, ("attention",)), (4, ()), (4, ("nose",))])
def test_a_rank_or_target_out_of_range_is_refused(networks: Networks, rank: int, targets: tuple[Target, ...]) -> None:
    with pytest.raises(AdapterRejected, match="choose"):
        attach_adapter(networks, rank, targets, seed=0)


QKV = "base_model.model.s1.layers.0.attention.qkv.lora_A.weight"


def without_one(folder: Path) -> None:
    tensors = load_file(folder / WEIGHTS_FILE)
    del tensors[QKV]
    save_file(tensors, folder / WEIGHTS_FILE)


def with_one_more(folder: Path) -> None:
    save_file({**load_file(folder / WEIGHTS_FILE), "s1.predict.weight": torch.zeros(33, 32)}, folder / WEIGHTS_FILE)


def with_another_shape(folder: Path) -> None:
    save_file({**load_file(folder / WEIGHTS_FILE), QKV: torch.zeros(3, 31)}, folder / WEIGHTS_FILE)


def with_nan(folder: Path) -> None:
    save_file({**load_file(folder / WEIGHTS_FILE), QKV: torch.full((3, 32), torch.nan)}, folder / WEIGHTS_FILE)


def with_foreign_keys(folder: Path) -> None:
    save_file({"base_model.model.q.lora_A.weight": torch.zeros(3, 3)}, folder / WEIGHTS_FILE)


def with_another_rank(folder: Path) -> None:
    edit(folder, r=4, lora_alpha=4)


def with_another_alpha(folder: Path) -> None:
    edit(folder, lora_alpha=16)


def with_a_huge_rank(folder: Path) -> None:
    edit(folder, r=10**9, lora_alpha=10**9)


def as_a_pickle(folder: Path) -> None:
    torch.save({}, folder / WEIGHTS_FILE)


def without_weights(folder: Path) -> None:
    (folder / WEIGHTS_FILE).unlink()


def with_a_huge_config(folder: Path) -> None:
    (folder / CONFIG_FILE).write_text(" " * 70000)


def edit(folder: Path, **changes: int) -> None:
    config = json.loads((folder / CONFIG_FILE).read_text())
    (folder / CONFIG_FILE).write_text(json.dumps({**config, **changes}))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (without_one, "qkv.lora_A.weight is missing"),
        (with_one_more, "s1.predict.weight is unknown"),
        (with_another_shape, r"has shape \[3, 31\] instead of \[3, 32\]"),
        (with_nan, "not finite"),
        (with_foreign_keys, "no matrix for any module"),
        (with_another_rank, r"has shape \[3, 32\] instead of \[4, 32\]"),
        (with_another_alpha, "lora_alpha=16 must equal r=3"),
        (with_a_huge_rank, "rank 1 to 128"),
        (as_a_pickle, "not a readable safetensors file"),
        (without_weights, "is missing from the adapter"),
        (with_a_huge_config, "at most 65536 are accepted"),
    ],
)
def test_a_damaged_adapter_is_refused_and_the_networks_stay_plain(
    networks: Networks, tmp_path: Path, damage: object, message: str
) -> None:
    save_adapter(model := trained(networks, ("attention",)), tmp_path)
    plain = model.unload()
    assert callable(damage)
    damage(tmp_path)
    with pytest.raises(AdapterRejected, match=message):
        load_adapter(plain, tmp_path)
    assert not any("lora" in name for name, _ in plain.named_parameters())
