"""Voices as LoRA adapters over both networks: attach, save, load, merge; files in PEFT's layout."""

import json
import re
from pathlib import Path
from typing import Literal, cast

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
from pydantic import BaseModel, Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from sovits_core.errors import AdapterRejected
from sovits_core.formats.checkpoints import shape_differences
from sovits_core.models.networks import Networks
from sovits_core.validation import one_line

Target = Literal["attention", "ffn", "conditioning"]

_ENCODER = r"s2\.content_encoder\.(ssl|text|mixed)_encoder\.layers\.\d+"

GROUPS: dict[Target, dict[str, str]] = {
    "attention": {
        "qkv": r"s1\.layers\.\d+\.attention\.qkv",
        "out": r"s1\.layers\.\d+\.attention\.out",
        "encoder": _ENCODER + r"\.attention\.[qkvo]",
        "cross": r"s2\.content_encoder\.cross_attention\.attention\.[qkvo]",
    },
    "ffn": {
        "up": r"s1\.layers\.\d+\.feed_forward\.up",
        "down": r"s1\.layers\.\d+\.feed_forward\.down",
        "encoder_up": _ENCODER + r"\.feed_forward\.up",
        "encoder_down": _ENCODER + r"\.feed_forward\.down",
    },
    "conditioning": {
        "flow": r"s2\.flow\.couplings\.\d+\.wavenet\.condition",
        "generator": r"s2\.waveform_generator\.condition",
    },
}
"""Modules of each target: groups of layers of one shape, as patterns over module names.

A graph has one pair of inputs per group.
"""

LARGEST_FILE = 256 * 2**20
LARGEST_CONFIG = 64 * 2**10
LARGEST_RANK = 128
CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"
KEY_PREFIX = "base_model.model."


class AdapterConfig(BaseModel):
    """The part of adapter_config.json that matters here; the rest is PEFT's own."""

    peft_type: Literal["LORA"]
    r: int = Field(ge=1, le=LARGEST_RANK)
    lora_alpha: int


def adapted_modules(networks: nn.Module, targets: tuple[Target, ...]) -> dict[str, list[str]]:
    """Group to the names of its modules, in the networks' order; groups without modules are left out.

    Raises:
        AdapterRejected: no target, or one that does not exist.
    """
    unknown = [target for target in targets if target not in GROUPS]
    if unknown or not targets:
        raise AdapterRejected(f"targets={list(targets)}: choose one or more of {', '.join(GROUPS)}")
    names = [name for name, _ in networks.named_modules()]
    groups = {
        group: [name for name in names if re.fullmatch(pattern, name)]
        for target in GROUPS
        if target in targets
        for group, pattern in GROUPS[target].items()
    }
    return {group: members for group, members in groups.items() if members}


# Hu et al. 2021, LoRA, arXiv:2106.09685
def attach_adapter(networks: Networks, rank: int, targets: tuple[Target, ...], seed: int) -> PeftModel:
    """Freeze the networks and give them a fresh adapter that changes nothing yet.

    The networks are changed in place: their weights freeze, weight norm is folded (of no use on frozen weights), and
    `networks.s1` and `networks.s2` run through the adapter from now on. Alpha is the rank, so the scale is 1.

    Raises:
        AdapterRejected: the rank or a target is out of range.
    """
    if not 1 <= rank <= LARGEST_RANK:
        raise AdapterRejected(f"rank={rank}: choose 1 to {LARGEST_RANK}")
    networks.s2.fold_weight_norm()
    members = [name for group in adapted_modules(networks, targets).values() for name in group]
    patterns = [pattern for target in GROUPS if target in targets for pattern in GROUPS[target].values()]
    config = LoraConfig(r=rank, lora_alpha=rank, lora_dropout=0.0, bias="none", target_modules="|".join(patterns))
    model = get_peft_model(networks, config)
    # PEFT draws from the process-wide generator; the job's seed must be enough to repeat a training
    generator = torch.Generator().manual_seed(seed)
    for name in members:
        weight = networks.get_submodule(f"{name}.lora_A.default").weight
        assert isinstance(weight, nn.Parameter)  # noqa: S101  (PEFT is untyped)
        fresh = torch.empty(weight.shape)
        nn.init.kaiming_uniform_(fresh, a=5**0.5, generator=generator)
        weight.data.copy_(fresh)
    return model


def adapter_tensors(model: PeftModel) -> dict[str, Tensor]:
    """The adapter alone under PEFT's file keys (`base_model.model.s1.….lora_A.weight`), float32, on the CPU."""
    state = get_peft_model_state_dict(model)
    return {key: tensor.detach().float().cpu() for key, tensor in sorted(state.items())}


def save_adapter(model: PeftModel, folder: Path) -> None:
    """Write adapter_config.json and adapter_model.safetensors (float16) into a folder.

    Raises:
        AdapterRejected: a value is not finite, or does not fit float16.
    """
    tensors = {key: tensor.half().contiguous() for key, tensor in adapter_tensors(model).items()}
    for key, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise AdapterRejected(f"{key} holds values that are not finite in float16: the training diverged")
    folder.mkdir(parents=True, exist_ok=True)
    config = model.peft_config["default"]
    assert isinstance(config, LoraConfig)  # noqa: S101 -- attach_adapter made it
    document = {
        "peft_type": "LORA",
        "task_type": None,
        "base_model_name_or_path": None,
        "r": config.r,
        "lora_alpha": config.lora_alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "target_modules": config.target_modules,
    }
    (folder / CONFIG_FILE).write_text(json.dumps(document, indent=2) + "\n")
    save_file(tensors, folder / WEIGHTS_FILE, metadata={"format": "pt"})


def load_adapter(networks: Networks, folder: Path) -> PeftModel:
    """Attach a stored adapter, trusting nothing in its files.

    Which targets it has is read from its keys; each target must be complete, and nothing else may be there. The
    networks change as in `attach_adapter`, and stay as they are where the adapter is refused.

    Raises:
        AdapterRejected: files are missing, too large or damaged, or keys, shapes or values are not what these networks
            can carry.
    """
    rank = _read_rank(folder / CONFIG_FILE)
    path = folder / WEIGHTS_FILE
    _check_size(path, LARGEST_FILE)
    try:
        with safe_open(path, framework="pt") as file:
            stored = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
            targets = _targets_of(networks, stored)
            _check_shapes(expected_shapes(networks, targets, rank), stored)
            tensors = {key: file.get_tensor(key).float() for key in stored}
    except (OSError, SafetensorError) as error:
        raise AdapterRejected(f"{WEIGHTS_FILE} is not a readable safetensors file ({error})") from error
    for key, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise AdapterRejected(f"{key} in {WEIGHTS_FILE} holds values that are not finite")
    model = attach_adapter(networks, rank, targets, seed=0)
    set_peft_model_state_dict(model, tensors)
    return model


def merge(model: PeftModel) -> Networks:
    """Add the adapter into the weights and return the plain networks (the same objects, changed in place)."""
    merged = model.merge_and_unload()
    assert isinstance(merged, Networks)  # noqa: S101  (PEFT is untyped)
    return merged


def adapter_key(module: str, matrix: Literal["A", "B"]) -> str:
    """The file key of one matrix of a module such as `s1.layers.0.attention.qkv`."""
    return f"{KEY_PREFIX}{module}.lora_{matrix}.weight"


def expected_shapes(networks: Networks, targets: tuple[Target, ...], rank: int) -> dict[str, tuple[int, ...]]:
    """File key to shape, for networks with or without an adapter attached."""
    shapes: dict[str, tuple[int, ...]] = {}
    for members in adapted_modules(networks, targets).values():
        for name in members:
            module = networks.get_submodule(name)
            weight = cast("Tensor", getattr(module, "base_layer", module).weight)
            outputs, inputs, *kernel = weight.shape
            shapes[adapter_key(name, "A")] = (rank, inputs, *kernel)
            shapes[adapter_key(name, "B")] = (outputs, rank, *(1 for _ in kernel))
    return shapes


def _read_rank(path: Path) -> int:
    _check_size(path, LARGEST_CONFIG)
    try:
        config = AdapterConfig.model_validate_json(path.read_bytes())
    except OSError as error:
        raise AdapterRejected(f"{path.name} cannot be read ({error.strerror})") from error
    except ValidationError as error:
        raise AdapterRejected(
            f"{path.name} does not describe a LoRA of rank 1 to {LARGEST_RANK}: {one_line(error)}"
        ) from error
    if config.lora_alpha != config.r:
        raise AdapterRejected(
            f"{path.name}: lora_alpha={config.lora_alpha} must equal r={config.r}: the scale here is 1"
        )
    return config.r


def _check_size(path: Path, largest: int) -> None:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise AdapterRejected(f"{path.name} is missing from the adapter") from error
    if size > largest:
        raise AdapterRejected(f"{path.name} has {size} bytes, at most {largest} are accepted")


def _targets_of(networks: Networks, stored: dict[str, tuple[int, ...]]) -> tuple[Target, ...]:
    targets = tuple(
        target for target in GROUPS if not stored.keys().isdisjoint(expected_shapes(networks, (target,), 1))
    )
    if not targets:
        raise AdapterRejected(f"{WEIGHTS_FILE} holds no matrix for any module of these networks")
    return targets


def _check_shapes(expected: dict[str, tuple[int, ...]], stored: dict[str, tuple[int, ...]]) -> None:
    if problems := shape_differences(expected, stored):
        more = f"; and {len(problems) - 10} more" if len(problems) > 10 else ""
        raise AdapterRejected(f"{WEIGHTS_FILE} does not fit this base: {'; '.join(problems[:10])}{more}")
