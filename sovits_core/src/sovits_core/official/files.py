"""Official files as weights with their settings: the several layouts read as one, and the two of a voice written."""

import pickle
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from sovits_core.errors import OfficialFileRejected
from sovits_core.official.archives import read_archive

RESUME = frozenset({"model", "iteration", "optimizer", "learning_rate"})
"""Keys of a checkpoint of the official S2 training."""
MOST_TENSORS = 20_000
LARGEST_HALF = 65504.0

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
COUNTERS = ("num_batches_tracked", "position_ids")
"""The only weights that are integers: of batch norms and of BERT."""


@dataclass(frozen=True)
class OfficialFile:
    """The content of one official file."""

    name: str
    """Of the file, for errors."""
    weights: Mapping[str, Tensor]
    """Official key to tensor, in the file's own type."""
    head: str = "PK"
    """`PK`, or the two digits that stood in its place."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """The settings; not checked, and of any nesting."""
    info: str = ""
    lora_rank: int | None = None


def read_official(path: Path) -> OfficialFile:
    """Read any official checkpoint: exported, to be resumed, BigVGAN's, or a bare state.

    Raises:
        OfficialFileRejected: it cannot be read, holds more than weights and settings, or a weight is of a wrong type or
            not finite.
    """
    archive = read_archive(path)
    try:
        return _interpret(path.name, archive.head, archive.content)
    except OfficialFileRejected as error:
        raise OfficialFileRejected(f"{path.name}: {error}") from error


def _interpret(name: str, head: str, content: Any) -> OfficialFile:
    if not isinstance(content, dict) or not content:
        raise OfficialFileRejected(f"it holds a {type(content).__name__} and not a dictionary of weights")
    if "weight" in content and isinstance(content["weight"], dict):
        config, info, rank = content.get("config", {}), content.get("info", ""), content.get("lora_rank")
        if not isinstance(config, dict):
            raise OfficialFileRejected(f"its config is a {type(config).__name__} and not a dictionary of settings")
        if rank is not None and (not isinstance(rank, int) or not 1 <= rank <= 1024):
            raise OfficialFileRejected("its lora_rank is not a number from 1 to 1024")
        return OfficialFile(name, checked(content["weight"]), head, config, info if isinstance(info, str) else "", rank)
    if content.keys() >= RESUME:
        return OfficialFile(name, checked(content["model"]), head)
    for wrapper in ("generator", "state_dict", "model"):
        if len(content) == 1 and isinstance(content.get(wrapper), dict):
            return OfficialFile(name, checked(content[wrapper]), head)
    return OfficialFile(name, checked(content), head)


def checked(weights: Any) -> dict[str, Tensor]:
    """A state whose keys are names and whose values are finite tensors of the types that weights have.

    Raises:
        OfficialFileRejected: naming the first key that is not so.
    """
    if not isinstance(weights, dict) or not weights:
        raise OfficialFileRejected("it holds no weights")
    if len(weights) > MOST_TENSORS:
        raise OfficialFileRejected(f"it holds {len(weights)} tensors, at most {MOST_TENSORS} are read")
    for key, tensor in weights.items():
        if not isinstance(key, str) or not isinstance(tensor, Tensor):
            raise OfficialFileRejected(
                f"{key!s:.80} is a {type(tensor).__name__} and not a tensor: this is no file of weights alone"
            )
        if tensor.dtype not in FLOATS and not (tensor.dtype == torch.int64 and key.endswith(COUNTERS)):
            raise OfficialFileRejected(f"{key:.200} has type {tensor.dtype}, a weight is float16 or float32")
        if not bool(torch.isfinite(tensor).all()):
            raise OfficialFileRejected(
                f"{key:.200} holds values that are not finite: the training of this file diverged"
            )
    return dict(weights)


class HParams:
    """Pickles as the official code's `utils.HParams`: settings as attributes, sections nested."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        for key, value in settings.items():
            setattr(self, key, HParams(value) if isinstance(value, Mapping) else value)


HParams.__module__, HParams.__qualname__ = "utils", "HParams"


@contextmanager
def _utils_module() -> Iterator[None]:
    """While this lasts, `utils.HParams` is what pickle finds; it refuses to write a name that it cannot find itself."""
    module = ModuleType("utils")
    module.HParams = HParams  # type: ignore[attr-defined]
    before = sys.modules.get("utils")
    sys.modules["utils"] = module
    try:
        yield
    finally:
        if before is None:
            del sys.modules["utils"]
        else:
            sys.modules["utils"] = before


def write_s1(path: Path, weights: Mapping[str, Tensor], config: Mapping[str, Any], info: str) -> None:
    """Write an S1 `.ckpt`; weights under official names, with their `model.` prefix.

    Raises:
        OfficialFileRejected: a weight does not fit float16, or the file cannot be written.
    """
    _write(path, {"weight": halved(weights), "config": dict(config), "info": info}, "PK")


def write_s2(path: Path, weights: Mapping[str, Tensor], config: Mapping[str, Any], info: str, head: str = "PK") -> None:
    """Write an S2 `.pth` with its head; the posterior encoder is left out, as the official trainer does.

    Raises:
        OfficialFileRejected: as `write_s1`.
    """
    spoken = {key: tensor for key, tensor in weights.items() if not key.startswith("enc_q.")}
    _write(path, {"weight": halved(spoken), "config": HParams(config), "info": info}, head)


def halved(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights in float16, each with memory of its own; counters stay integers.

    Raises:
        OfficialFileRejected: a value is not finite or beyond float16.
    """
    halves: dict[str, Tensor] = {}
    for key, tensor in weights.items():
        plain = tensor.detach().cpu()
        if plain.is_floating_point() and not bool((plain.abs() <= LARGEST_HALF).all()):  # false for NaN as well
            raise OfficialFileRejected(f"{key} holds values beyond float16's {LARGEST_HALF:.0f}")
        halves[key] = (plain.half() if plain.is_floating_point() else plain).clone().contiguous()
    return halves


def _write(path: Path, content: Mapping[str, Any], head: str) -> None:
    """Write beside the target and rename, so that a reader finds all or nothing."""
    partial = path.with_name(f"{path.name}.partial")
    try:
        with _utils_module():
            torch.save(content, partial)
        with partial.open("r+b") as file:
            file.write(head.encode("ascii"))
        partial.replace(path)
    except (OSError, RuntimeError, pickle.PicklingError) as error:
        raise OfficialFileRejected(f"{path} cannot be written ({error})") from error
    finally:
        partial.unlink(missing_ok=True)
