"""`sovits-core verify` answers what the official code answers, and names an input that it cannot take."""

import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sovits_core.__main__ import USAGE_ERROR, main
from sovits_core.errors import InvalidModelInput
from sovits_core.models.networks import Networks
from sovits_core.official.loading import S2_CONFIGS
from sovits_core.official.settings import s2_settings
from sovits_core.official.verification import check_inputs, read_inputs

Golden = Callable[[str], tuple[dict[str, Tensor], dict[str, Tensor]]]


class HParams:
    """As the official code has it."""

    def __init__(self, **settings: Any) -> None:
        for key, value in settings.items():
            setattr(self, key, HParams(**value) if isinstance(value, dict) else value)


HParams.__module__, HParams.__qualname__ = "utils", "HParams"


@pytest.mark.slow
def test_the_command_gives_the_official_answers(
    golden: Golden, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = "v2Pro"
    s1_weights, s1_answers = golden("s1_v2plus")
    s2_weights, s2_answers = golden(f"s2G_{version}")
    utils = types.ModuleType("utils")
    utils.HParams = HParams  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "utils", utils)
    tuned = {key: tensor for key, tensor in s2_weights.items() if "enc_q" not in key}
    settings = s2_settings(S2_CONFIGS[version], version)
    torch.save({"weight": s1_weights, "config": {}, "info": ""}, tmp_path / "s1.ckpt")
    torch.save({"weight": tuned, "config": HParams(**settings), "info": ""}, tmp_path / "s2.pth")
    inputs = {name: s1_answers[name].numpy() for name in ("phones", "bert", "prompt")}
    inputs |= {name: s2_answers[name].numpy() for name in ("codes", "text", "noise", "sv") if name in s2_answers}
    np.savez(tmp_path / "in.npz", spec=s2_answers["refer_spec"].numpy(), **inputs)
    files = {"s1": "s1.ckpt", "s2": "s2.pth", "inputs": "in.npz", "out": "out.npz"}
    arguments = [item for option, name in files.items() for item in (f"--{option}", str(tmp_path / name))]
    assert main(["verify", *arguments]) == 0
    with np.load(tmp_path / "out.npz") as out:
        assert {name: out[name].dtype.name for name in out.files} == {
            "s1_logits": "float32",
            "s1_greedy": "int64",
            "wav": "float32",
        }
        logits, wav = s1_answers["logits"].numpy(), s2_answers["wav"].numpy()
        assert np.abs(out["s1_logits"] - logits).max() <= 1e-4 * np.abs(logits).max()
        assert np.abs(out["wav"] - wav).max() <= 1e-4 * np.abs(wav).max()
        assert len(out["s1_greedy"]) == 200
        assert out["s1_greedy"][:100].tolist() == s1_answers["greedy"].tolist()


def test_settings_of_the_official_sizes_say_what_the_official_files_say() -> None:
    model = s2_settings(S2_CONFIGS["v2ProPlus"], "v2ProPlus")["model"]
    assert (model["upsample_initial_channel"], model["upsample_kernel_sizes"]) == (768, [20, 16, 8, 2, 2])
    assert (model["gin_channels"], model["p_dropout"], model["version"]) == (1024, 0.0, "v2ProPlus")
    assert s2_settings(S2_CONFIGS["v2"], "v2")["train"]["segment_size"] == 20480


def good(networks: Networks) -> dict[str, np.ndarray]:
    s1, s2 = networks.s1.config, networks.s2.config
    return {
        "phones": np.arange(5),
        "bert": np.zeros((s1.bert_dim, 5), np.float32),
        "prompt": np.arange(3),
        "codes": np.arange(4),
        "text": np.arange(2),
        "spec": np.ones((s2.spectrogram_bins, 6), np.float32),
        "noise": np.zeros((s2.latent, 8), np.float32),
    }


def test_inputs_may_be_cut_to_the_reference_s_bins_and_the_prompt_may_be_empty(small_networks: Networks) -> None:
    bins = small_networks.s2.config.reference_bins
    changed = {**good(small_networks), "spec": np.ones((bins, 6)), "prompt": np.zeros(0, np.int64)}
    checked = check_inputs(changed, small_networks.s1, small_networks.s2)
    assert checked["spec"].dtype == torch.float32
    assert checked["prompt"].shape == (0,)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("phones", None, "inputs are missing: phones"),
        ("phones", np.arange(5.0), r"phones must be int64 \[length\], it is float64 \[5\]"),
        ("phones", np.arange(6).reshape(2, 3), r"it is int64 \[2, 3\]"),
        ("phones", np.array([0, 40]), "phones holds 0 to 40, the table has rows 0 to 39"),
        ("text", np.array([-1, 3]), "text holds -1 to 3"),
        ("codes", np.array([32]), "codes holds 32 to 32, the table has rows 0 to 31"),
        ("codes", np.zeros(0, np.int64), "codes has 0 entries"),
        ("prompt", np.array([32]), "prompt holds 32 to 32"),
        ("bert", np.zeros((8, 4), np.float32), r"bert must be float32 \[8, 5\].*it is float32 \[8, 4\]"),
        ("noise", np.zeros((16, 7), np.float32), r"noise must be float32 \[16, 8\]"),
        ("noise", np.full((16, 8), np.nan), "noise holds values that are not finite"),
        ("spec", np.ones((64, 6), np.float32), r"spec must be float32 \[129, F\] or \[100, F\]"),
        ("spec", np.ones((129, 6), np.int32), "it is int32"),
    ],
)
def test_an_input_that_cannot_be_taken_is_named(
    small_networks: Networks, name: str, value: np.ndarray | None, message: str
) -> None:
    arrays = good(small_networks)
    if value is None:
        del arrays[name]
    else:
        arrays[name] = value
    with pytest.raises(InvalidModelInput, match=message):
        check_inputs(arrays, small_networks.s1, small_networks.s2)


def test_a_file_of_inputs_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("no")
    np.savez(tmp_path / "object.npz", phones=np.array([{}], dtype=object))
    for name, message in {"none.npz": "No such file", "text.npz": "no npz file", "object.npz": "no npz file"}.items():
        with pytest.raises(InvalidModelInput, match=f"{name} .*{message}"):
            read_inputs(tmp_path / name)


def test_nothing_is_written_where_the_files_are_bad(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "in.npz", phones=np.arange(3))
    (tmp_path / "s1.ckpt").write_bytes(b"no checkpoint")
    names = {"s1": "s1.ckpt", "s2": "s2.pth", "inputs": "in.npz", "out": "out.npz"}
    arguments = [item for option, name in names.items() for item in (f"--{option}", str(tmp_path / name))]
    assert main(["verify", *arguments]) == USAGE_ERROR
    assert "s1.ckpt: it is not a torch checkpoint" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.npz", "s1.ckpt"]
