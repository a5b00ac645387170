"""The step graph with weights of eight bits: a quarter of what each token must read from memory."""

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from sovits_core.errors import ExportError
from sovits_core.export.passes import use_contrib

BLOCK = 32
"""Weights along the inputs that share a scale; activations are rounded in the same blocks, which keeps them close."""
ZERO_POINT = 128
ON_INTEGERS = 4
"""MatMulNBits' accuracy level that multiplies integers instead of unpacking the weights."""


def quantize(model: onnx.ModelProto, smallest: int = 2**14) -> None:
    """Round the weights of all large constant matrix products to eight bits, in place.

    Biases, norms, embeddings, attention, adapters and the product that gives the logits stay float32 (a third of the
    error of the logits was its own, for 2 of 76 MB). MatMulNBits rather than one scale per matrix
    (`quantize_dynamic`): half the error at nearly the same speed, and no saturation on processors without VNNI.

    Args:
        model: whose products have their weight as an initializer.
        smallest: elements under which a weight stays as it is.

    Raises:
        ExportError: the number of inputs of a layer is no multiple of the block, or nothing is large enough.
    """
    graph = model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer if int(np.prod(tensor.dims)) >= smallest}
    answers = {entry.name for entry in graph.output}
    rounded: set[str] = set()
    for node in graph.node:
        if node.op_type not in {"Gemm", "MatMul"} or node.input[1] not in weights or node.output[0] in answers:
            continue
        name, has_bias = node.input[1], node.op_type == "Gemm" and len(node.input) == 3
        matrix = numpy_helper.to_array(weights[name])  # (inputs, outputs), or the other way round
        by_output = matrix if any(a.name == "transB" and a.i for a in node.attribute) else matrix.T
        levels, scales = _round_blocks(by_output, name)
        if name not in rounded:
            rounded.add(name)
            graph.initializer.append(numpy_helper.from_array(levels, f"{name}.levels"))
            graph.initializer.append(numpy_helper.from_array(scales, f"{name}.scales"))
        # inputs: activations, levels, scales, no zero points (128 then), no order of groups, bias
        inputs = [node.input[0], f"{name}.levels", f"{name}.scales", *(["", "", node.input[2]] if has_bias else [])]
        outputs, width = by_output.shape
        settings = {"K": width, "N": outputs, "bits": 8, "block_size": BLOCK, "accuracy_level": ON_INTEGERS}
        node.CopyFrom(
            helper.make_node("MatMulNBits", inputs, list(node.output), node.name, domain="com.microsoft", **settings)
        )
    if not rounded:
        raise ExportError(f"the graph {graph.name} has no weight of {smallest} elements that could be rounded")
    kept = [tensor for tensor in graph.initializer if tensor.name not in rounded]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    use_contrib(model)


def _round_blocks(matrix: NDArray[np.float32], name: str) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Weights (outputs, inputs) to levels uint8 (outputs, blocks, BLOCK) and scales float32 (outputs * blocks)."""
    outputs, inputs = matrix.shape
    if inputs % BLOCK:
        raise ExportError(f"{name} has {inputs} inputs: eight bits need a multiple of {BLOCK}")
    blocks = matrix.reshape(outputs, inputs // BLOCK, BLOCK)
    # scales are stored in half precision, so the levels are chosen for what will be read back
    scales = (np.abs(blocks).max(axis=2) / (ZERO_POINT - 1)).astype(np.float16).astype(np.float32)
    usable = np.where(scales > 0, scales, 1)[..., None]
    levels = np.clip(np.round(blocks / usable) + ZERO_POINT, 1, 255).astype(np.uint8)
    return levels, scales.reshape(-1)
