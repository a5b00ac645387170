"""S2's waveform generator as ONNX Runtime runs it faster: the same arithmetic on tensors of four axes.

Blocked convolutions exist for images alone, so time becomes the width of an image of height one. Residual blocks are
summed one by one instead of stacked, and their mean's factor goes into the next convolution's weights, as rectifiers
keep factors.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import helper, numpy_helper

CONVOLUTIONS = frozenset({"Conv", "ConvTranspose"})
PARTS = CONVOLUTIONS | {"LeakyRelu", "Add", "Tanh", "Unsqueeze", "Concat", "ReduceMean"}
"""What the generator consists of."""
HEIGHT = 2
"""The new axis."""


class Generator(NamedTuple):
    """Where the generator is in a decode graph."""

    entry: str
    """The tensor (1, channels, frames) that the first stage reads."""
    nodes: list[onnx.NodeProto]
    """All from there to the samples."""


def rewrite_generator(model: onnx.ModelProto) -> bool:
    """Rewrite the generator of a decode graph, in place; return whether one was found.

    A graph without one, or with one of other nodes, stays as it is.
    """
    found = find_generator(model.graph)
    if found is None:
        return False
    _Rewrite(model.graph, *found).apply()
    return True


def find_generator(graph: onnx.GraphProto) -> Generator | None:
    """Return the generator of a decode graph; None where there is none, or one of other nodes."""
    made = {name: node for node in graph.node for name in node.output}
    zeros = {name for name, node in made.items() if node.op_type == "Constant" and _is_zero(node)}
    first = next((node for node in graph.node if node.op_type == "ConvTranspose"), None)
    if first is None or made.get(first.input[0], first).op_type != "LeakyRelu":
        return None
    entry = made[first.input[0]].input[0]
    inner, region = {entry}, []
    for node in graph.node:
        flows = [name for name in node.input if name in inner]
        if not flows:
            continue
        if node.op_type not in PARTS or not _is_plain(node, flows, zeros):
            return None
        region.append(node)
        if node.op_type == "Tanh":
            return Generator(entry, region)
        inner.update(node.output)
    return None


def _is_plain(node: onnx.NodeProto, flows: Sequence[str], zeros: Container[str]) -> bool:
    """Whether a node computes on the flow of samples alone; axes that are added, joined and averaged are the first."""
    settings = settings_of(node)
    if node.op_type in CONVOLUTIONS:
        return list(flows) == [node.input[0]] and len(settings.get("kernel_shape", ())) == 1
    if node.op_type == "Unsqueeze":
        return list(flows) == [node.input[0]] and node.input[1] in zeros
    if node.op_type == "Concat" and settings["axis"] != 0:
        return False
    if node.op_type == "ReduceMean" and (list(settings.get("axes", ())) != [0] or settings.get("keepdims", 1)):
        return False
    return len(flows) == len(node.input)


def _is_zero(constant: onnx.NodeProto) -> bool:
    value = settings_of(constant).get("value")
    return value is not None and not numpy_helper.to_array(value).any()


class _Rewrite:
    """New nodes for a region; each weight is turned by nodes that ONNX Runtime folds as it loads the graph."""

    def __init__(self, graph: onnx.GraphProto, entry: str, region: list[onnx.NodeProto]) -> None:
        self._graph, self._entry, self._region = graph, entry, region
        self._made = {name: node for node in region for name in node.output}
        self._readers: dict[str, list[onnx.NodeProto]] = {}
        for node in region:
            for name in node.input:
                self._readers.setdefault(name, []).append(node)
        self._factors: dict[str, float] = {}  # of the tensor that a convolution reads, which is larger by one over it
        self._nodes: list[onnx.NodeProto] = []

    def apply(self) -> None:
        axis = helper.make_tensor("height_axis", onnx.TensorProto.INT64, [1], [HEIGHT])
        self._graph.initializer.append(axis)
        tall = f"{self._entry}.tall"
        self._nodes.append(helper.make_node("Unsqueeze", [self._entry, axis.name], [tall]))
        names = {self._entry: tall}
        for node in self._region:
            self._append(node, names)
        samples = self._region[-1].output[0]
        self._nodes.append(helper.make_node("Squeeze", [names[samples], axis.name], [samples]))
        self._replace_region()

    def _append(self, node: onnx.NodeProto, names: dict[str, str]) -> None:
        """Add what a node becomes, and note the names of its outputs."""
        if node.op_type in {"Unsqueeze", "Concat"}:
            return  # parts of a mean
        if node.op_type == "ReduceMean":
            names[node.output[0]] = self._sum(node, names)
            return
        new = onnx.NodeProto()
        new.CopyFrom(node)
        for place, name in enumerate(node.input):
            new.input[place] = names.get(name, name)
        new.output[0] = names[node.output[0]] = f"{node.output[0]}.tall"
        if node.op_type == "LeakyRelu":
            self._factors[node.output[0]] = self._factors.get(node.input[0], 1.0)
        if node.op_type in CONVOLUTIONS:
            new.input[1] = self._weight(node, self._factors.get(node.input[0], 1.0))
            _heighten(new)
        self._nodes.append(new)

    def _sum(self, mean: onnx.NodeProto, names: dict[str, str]) -> str:
        """The sum of what is averaged; the factor is left to the convolutions that read it, or is applied."""
        parts = [names[self._made[part].input[0]] for part in self._made[mean.input[0]].input]
        total = parts[0]
        for place, part in enumerate(parts[1:], 1):
            result = f"{mean.output[0]}.sum{place}"
            self._nodes.append(helper.make_node("Add", [total, part], [result]))
            total = result
        if len(parts) > 1 and self._reaches_convolutions(mean.output[0]):
            self._factors[mean.output[0]] = 1 / len(parts)
        elif len(parts) > 1:
            total = self._scaled(total, 1 / len(parts), f"{mean.output[0]}.tall")
        return total

    def _reaches_convolutions(self, name: str) -> bool:
        """Whether a tensor is read by rectifiers alone, and those by convolutions."""
        rectifiers = self._readers.get(name, [])
        readers = [node for rectifier in rectifiers for node in self._readers.get(rectifier.output[0], [])]
        kinds = {node.op_type for node in rectifiers} == {"LeakyRelu"}
        return kinds and all(node.op_type in CONVOLUTIONS for node in readers)

    def _scaled(self, name: str, factor: float, result: str) -> str:
        scalar = f"{result}.factor"
        self._graph.initializer.append(numpy_helper.from_array(np.array(factor, np.float32), scalar))
        self._nodes.append(helper.make_node("Mul", [name, scalar], [result]))
        return result

    def _weight(self, node: onnx.NodeProto, factor: float) -> str:
        """The weight of a convolution with a height of one, times a factor."""
        given = node.input[1]
        if factor != 1.0:
            given = self._scaled(given, factor, f"{node.output[0]}.weight")
        tall = f"{node.output[0]}.weight.tall"
        self._nodes.append(helper.make_node("Unsqueeze", [given, "height_axis"], [tall]))
        return tall

    def _replace_region(self) -> None:
        """Put the new nodes where the samples were made: all that they read is there by then."""
        old, last = {node.output[0] for node in self._region}, self._region[-1].output[0]
        kept: list[onnx.NodeProto] = []
        for node in self._graph.node:
            if node.output[0] == last:
                kept.extend(self._nodes)
            elif node.output[0] not in old:
                kept.append(node)
        del self._graph.node[:]
        self._graph.node.extend(kept)


def _heighten(convolution: onnx.NodeProto) -> None:
    """Give a convolution over time a height of one, in place."""
    for attribute in convolution.attribute:
        if attribute.name in {"kernel_shape", "dilations", "strides"}:
            sizes = [1, attribute.ints[0]]
        elif attribute.name == "pads":
            sizes = [0, attribute.ints[0], 0, attribute.ints[1]]
        elif attribute.name in {"output_padding", "output_shape"}:
            sizes = [0, attribute.ints[0]]
        else:
            continue
        del attribute.ints[:]
        attribute.ints.extend(sizes)


def settings_of(node: onnx.NodeProto) -> dict[str, Any]:
    """Return the attributes of a node by name."""
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
