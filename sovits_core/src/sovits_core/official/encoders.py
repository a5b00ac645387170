"""Folders of transformers' speech and text encoders, copied into a base: configuration, tokenizer, float16 weights."""

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from transformers import BertConfig, BertModel, HubertConfig, HubertModel

from sovits_core.errors import OfficialFileRejected
from sovits_core.formats.checkpoints import compare_shapes
from sovits_core.official.files import OfficialFile, checked, halved, read_official

LARGEST_CONFIG = 1024 * 1024
LARGEST_TOKENIZER_FILE = 16 * 2**20
TOKENIZER_FILES = (
    "vocab.txt",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)
OLD_NAMES = (
    (r"\.conv\.weight_g$", ".conv.parametrizations.weight.original0"),
    (r"\.conv\.weight_v$", ".conv.parametrizations.weight.original1"),
    (r"LayerNorm\.gamma$", "LayerNorm.weight"),
    (r"LayerNorm\.beta$", "LayerNorm.bias"),
)
"""Spellings that transformers has given up since the official files were made."""
UNUSED = re.compile(r"^cls\.|^pooler\.|position_ids$")
"""Parameters that only self-supervised training needs, and tables that are computed."""
OPTIONAL = "masked_spec_embed"
"""The mask vector of HuBERT's self-supervised training; a file may do without."""


def copy_hubert(source: Path, target: Path) -> HubertConfig:
    """Copy a HuBERT folder (config.json, pytorch_model.bin or model.safetensors) and return its configuration.

    Raises:
        OfficialFileRejected: a file is missing, damaged or not a HuBERT's.
        CheckpointMismatch: keys or shapes are not those of its configuration.
    """
    config = _read_config(source, "hubert")
    with torch.device("meta"):
        expected = HubertModel(HubertConfig(**config))
    _copy(source, target, config, "hubert", expected)
    return expected.config


def copy_bert(source: Path, target: Path) -> BertConfig:
    """Copy a BERT folder with its tokenizer, without the head that guesses words, and return its configuration.

    Raises:
        OfficialFileRejected, CheckpointMismatch: as `copy_hubert`.
    """
    config = _read_config(source, "bert")
    with torch.device("meta"):
        expected = BertModel(BertConfig(**config), add_pooling_layer=False)
    if not (source / "vocab.txt").is_file():
        raise OfficialFileRejected(f"{source.name} has no vocab.txt: fetch the tokenizer's files as well")
    _copy(source, target, config, "bert", expected)
    for name in TOKENIZER_FILES:
        if (source / name).is_file():
            if (source / name).stat().st_size > LARGEST_TOKENIZER_FILE:
                raise OfficialFileRejected(f"{source.name}/{name} has more than {LARGEST_TOKENIZER_FILE} bytes")
            shutil.copyfile(source / name, target / name)
    return expected.config


def _read_config(source: Path, kind: str) -> dict[str, Any]:
    path = source / "config.json"
    try:
        if path.stat().st_size > LARGEST_CONFIG:
            raise OfficialFileRejected(f"{source.name}/config.json has more than {LARGEST_CONFIG} bytes")
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise OfficialFileRejected(f"{source.name}/config.json cannot be read: name the folder of the model") from error
    if not isinstance(config, dict) or config.get("model_type") != kind:
        raise OfficialFileRejected(f"{source.name}/config.json does not describe a model of type {kind!r}")
    # types of the stored numbers, and code that a model may bring along, are not ours to follow
    return {key: value for key, value in config.items() if key not in {"dtype", "torch_dtype", "auto_map"}}


def _copy(source: Path, target: Path, config: Mapping[str, Any], prefix: str, expected: torch.nn.Module) -> None:
    file = _read_weights(source)
    found = {
        name: tensor
        for key, tensor in file.weights.items()
        if not UNUSED.search(name := _renamed(key.removeprefix(f"{prefix}.")))
    }
    wanted = {key: tuple(tensor.shape) for key, tensor in expected.state_dict().items() if key != OPTIONAL}
    shapes = {key: tuple(tensor.shape) for key, tensor in found.items() if key != OPTIONAL}
    compare_shapes(f"{source.name}/{file.name}", wanted, shapes)
    target.mkdir()
    save_file(halved(found), target / "model.safetensors", metadata={"format": "pt"})
    text = json.dumps({**config, "dtype": "float16"}, indent=2, ensure_ascii=False)
    (target / "config.json").write_text(text + "\n", encoding="utf-8")


def _read_weights(source: Path) -> OfficialFile:
    safe = source / "model.safetensors"
    if not safe.is_file():
        return read_official(source / "pytorch_model.bin")
    try:
        with safe_open(safe, framework="pt") as file:
            weights: dict[str, Tensor] = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        return OfficialFile(safe.name, checked(weights))
    except (OSError, SafetensorError) as error:
        raise OfficialFileRejected(f"{source.name}/{safe.name} is not a readable safetensors file ({error})") from error


def _renamed(key: str) -> str:
    for pattern, replacement in OLD_NAMES:
        key = re.sub(pattern, replacement, key)
    return key
