"""The weights of a stored graph by name, to be computed with or to be used by another graph."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from sovits_core.errors import BaseRejected

RESTORING: dict[str, Callable[[NDArray[Any], onnx.NodeProto], NDArray[Any]]] = {
    "Cast": lambda array, _: array.astype(np.float32),
    "Identity": lambda array, _: array,
    "Transpose": lambda array, node: array.transpose(node.attribute[0].ints),
}
"""Nodes that stand between what the file holds and what the network multiplies with."""


class StoredWeights:
    """Weights of one graph, whose large ones lie in a file beside it.

    What is taken by name stays a reference: `initializers` and `nodes` are what another graph needs to use all that was
    taken so far, in an order in which they may be run.
    """

    def __init__(self, model: onnx.ModelProto, folder: Path) -> None:
        """`model`: without its external data; `folder`: where these are."""
        self._folder = folder
        self._tensors = {tensor.name: tensor for tensor in model.graph.initializer}
        self._made: dict[str, onnx.NodeProto] = {name: node for node in model.graph.node for name in node.output}
        self._read: dict[str, onnx.NodeProto] = {
            name: node for node in reversed(model.graph.node) for name in node.input
        }
        self.initializers: list[onnx.TensorProto] = []
        self.nodes: list[onnx.NodeProto] = []
        self._taken: set[str] = set()

    def take(self, name: str) -> str:
        """Return a weight's name, and remember that the other graph needs it.

        Raises:
            BaseRejected: there is no such weight.
        """
        for given in reversed(self._chain(name)):
            if given in self._taken:
                continue
            self._taken.add(given)
            if given in self._tensors:
                self.initializers.append(self._tensors[given])
            else:
                self.nodes.append(self._made[given])
        return name

    def array(self, name: str) -> NDArray[np.float32]:
        """Return a weight's values; raises as `take` does, and where the file lacks them."""
        *chain, stored = self._chain(name)
        try:
            array = numpy_helper.to_array(self._tensors[stored], base_dir=str(self._folder))
        except (OSError, ValueError, onnx.checker.ValidationError) as error:
            raise BaseRejected(f"the weight {name} cannot be read: {error}") from error
        for given in reversed(chain):
            array = RESTORING[self._made[given].op_type](array, self._made[given])
        return array

    def shape(self, name: str) -> tuple[int, ...]:
        """Return a weight's shape, without reading it; raises as `take` does."""
        *chain, stored = self._chain(name)
        shape = tuple(self._tensors[stored].dims)
        for given in reversed(chain):
            if self._made[given].op_type == "Transpose":
                shape = tuple(shape[axis] for axis in self._made[given].attribute[0].ints)
        return shape

    def reader(self, name: str) -> onnx.NodeProto:
        """Return the first node that reads a weight; raises as `take` does."""
        if name not in self._read:
            raise BaseRejected(f"there is no weight {name}")
        return self._read[name]

    def writer(self, name: str) -> onnx.NodeProto:
        """Return the node that makes a value; raises as `take` does."""
        if name not in self._made:
            raise BaseRejected(f"no node makes {name}")
        return self._made[name]

    def _chain(self, name: str) -> list[str]:
        """The weight, and what it is restored from: the last is stored."""
        chain = [name]
        while chain[-1] not in self._tensors:
            node = self._made.get(chain[-1])
            if node is None or node.op_type not in RESTORING:
                raise BaseRejected(f"there is no weight {name}")
            chain.append(node.input[0])
        return chain
