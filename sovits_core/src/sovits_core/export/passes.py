"""Rewrites of a traced step graph that ONNX Runtime does not do by itself: fewer nodes, less of the cache copied."""

import numpy as np
import onnx
from onnx import helper, numpy_helper

CONTRIB = "com.microsoft"
"""The operators that only ONNX Runtime has."""


def pick_layers(model: onnx.ModelProto) -> None:
    """Cut a layer out of a stacked input where it is used, in place.

    ONNX Runtime joins all Gathers of one input into a Split, which writes the whole cache to memory once more for each
    token: 10 ms at 1024 slots. It leaves GatherND alone, whose result stays in the processor's cache.
    """
    graph = model.graph
    stacked = {entry.name for entry in graph.input if len(entry.type.tensor_type.shape.dim) >= 3}
    constants = _scalars(graph)
    indices: set[int] = set()
    replaced: set[str] = set()
    for node in graph.node:
        if node.op_type == "Gather" and node.input[0] in stacked and node.input[1] in constants:
            index = constants[node.input[1]]
            indices.add(index)
            replaced.add(node.input[1])
            node.op_type = "GatherND"
            node.input[1] = f"layer_{index}"
            del node.attribute[:]
    unread = replaced - {name for node in graph.node for name in node.input}
    kept = [node for node in graph.node if node.output[0] not in unread]
    del graph.node[:]
    graph.node.extend(kept)
    graph.initializer.extend(numpy_helper.from_array(np.array([index]), f"layer_{index}") for index in sorted(indices))


def join_additions_with_norms(model: onnx.ModelProto) -> None:
    """Turn each sum that only a layer normalisation reads into one node, in place.

    ONNX Runtime does so by itself where tensors have three axes; those of a step have two.
    """
    graph = model.graph
    readers: dict[str, int] = {}
    for node in graph.node:
        for name in node.input:
            readers[name] = readers.get(name, 0) + 1
    sums = {node.output[0]: node for node in graph.node if node.op_type == "Add" and readers.get(node.output[0]) == 1}
    joined: set[str] = set()
    for node in graph.node:
        if node.op_type != "LayerNormalization" or node.input[0] not in sums:
            continue
        addition, norm = sums[node.input[0]], list(node.input[1:])
        joined.add(node.input[0])
        epsilon = next(attribute.f for attribute in node.attribute if attribute.name == "epsilon")
        del node.input[:], node.attribute[:]
        node.op_type, node.domain = "SkipLayerNormalization", CONTRIB
        node.input.extend([*addition.input, *norm])
        node.attribute.append(helper.make_attribute("epsilon", epsilon))
    kept = [node for node in graph.node if node.output[0] not in joined]
    del graph.node[:]
    graph.node.extend(kept)
    use_contrib(model)


def use_contrib(model: onnx.ModelProto) -> None:
    """Declare ONNX Runtime's own operators, in place."""
    if all(entry.domain != CONTRIB for entry in model.opset_import):
        model.opset_import.append(helper.make_opsetid(CONTRIB, 1))


def _scalars(graph: onnx.GraphProto) -> dict[str, int]:
    """Name to value of every constant integer without axes."""
    tensors = {node.output[0]: node.attribute[0].t for node in graph.node if node.op_type == "Constant"}
    whole = {name: tensor for name, tensor in tensors.items() if not tensor.dims}
    return {
        name: int(numpy_helper.to_array(tensor))
        for name, tensor in whole.items()
        if tensor.data_type == onnx.TensorProto.INT64
    }
