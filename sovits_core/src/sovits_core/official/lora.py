"""The official LoRA files of v3 and v4, merged into their base; they hold whole parts beside the low-rank matrices."""

import re
from collections.abc import Mapping

from torch import Tensor

from sovits_core.errors import CheckpointMismatch, OfficialFileRejected
from sovits_core.official.files import OfficialFile

MATRIX = re.compile(r"^cfm\.base_model\.model\.(?P<layer>.+)\.lora_(?P<matrix>[AB])\.default\.weight$")
WHOLE = ("ref_enc.", "bridge.", "wns1.", "linear_mel.")
"""Parts that were trained in full and replace the base's."""
FROZEN = ("quantizer.", "cfm.base_model.model.estimator.rotary_embed.", "ssl_proj.", "enc_p.")
"""Tensors that the file repeats, rounded, although training never changed them."""


def merge_lora(base: Mapping[str, Tensor], lora: OfficialFile) -> dict[str, Tensor]:
    """Weights of the base with a voice in them: W + B A (alpha equals the rank), and the parts trained in full.

    Args:
        base: of an S2 of the same version, under official names.
        lora: the voice's file.

    Raises:
        OfficialFileRejected: it holds no matrix.
        CheckpointMismatch: a key, shape or rank does not fit; every one is named.
    """
    merged = dict(base)
    layers: dict[str, dict[str, Tensor]] = {}
    differences = []
    for key, tensor in lora.weights.items():
        if match := MATRIX.match(key):
            layers.setdefault(f"cfm.{match['layer']}.weight", {})[match["matrix"]] = tensor
        elif key.startswith(WHOLE) and key in base:
            merged[key] = tensor
            if tensor.shape != base[key].shape:
                differences.append(f"{key} has shape {list(tensor.shape)} instead of {list(base[key].shape)}")
        elif not key.startswith(FROZEN):
            differences.append(f"{key} is unknown")
    if not layers:
        raise OfficialFileRejected(f"{lora.name} holds no low-rank matrices")
    for key, matrices in layers.items():
        if problem := _problem(base.get(key), matrices, lora.lora_rank):
            differences.append(f"the matrices of {key} {problem}")
        else:
            merged[key] = base[key].float() + matrices["B"].float() @ matrices["A"].float()
    if differences:
        raise CheckpointMismatch(lora.name, differences)
    return merged


def _problem(weight: Tensor | None, matrices: Mapping[str, Tensor], rank: int | None) -> str:
    """Why a pair, A (rank, inputs) and B (outputs, rank), cannot be added to a weight (outputs, inputs); or nothing."""
    if weight is None or weight.ndim != 2:
        return "are for no layer of the base"
    if matrices.keys() != {"A", "B"}:
        return "are incomplete"
    a, b = matrices["A"], matrices["B"]
    if a.ndim != 2 or a.shape[1] != weight.shape[1] or b.shape != (weight.shape[0], a.shape[0]):
        return f"have shapes {list(a.shape)} and {list(b.shape)}, the layer has {list(weight.shape)}"
    if rank not in {None, a.shape[0]}:
        return f"have rank {a.shape[0]}, the file says {rank}"
    return ""
