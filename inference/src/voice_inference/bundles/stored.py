"""A graph as a base stores it: its inputs, its outputs, and which adapter tensors it takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import onnx

from voice_inference.errors import InvalidBase


@dataclass(frozen=True)
class AdapterInput:
    """One adapter input: the stack, along a new first axis, of the tensors named by ``keys``."""

    name: str
    keys: tuple[str, ...]
    shape: tuple[int | None, ...]  # (keys, ...); the one None is the rank axis

    def stack_shape(self, rank: int) -> tuple[int, ...]:
        """Return the shape that this input has at a rank."""
        return tuple(rank if size is None else size for size in self.shape)


class StoredGraph:
    """One ONNX graph, without its large weights; ``shapes`` gives its inputs' sizes, with None where they vary."""

    def __init__(self, path: Path, lora_keys: Mapping[str, tuple[str, ...]]) -> None:
        """``lora_keys``: the adapter tensors of each adapter input. Raises ``InvalidBase``."""
        try:
            self.model = onnx.load(path, load_external_data=False)
        except Exception as error:  # what onnx raises of a damaged file is another package's
            raise InvalidBase(f"{path.name} is no ONNX graph: {str(error)[:500]}") from error
        self.path = path
        self.name = path.stem
        graph = self.model.graph
        self.shapes = {
            given.name: tuple(axis.dim_value or None for axis in given.type.tensor_type.shape.dim)
            for given in graph.input
        }
        self.outputs = tuple(output.name for output in graph.output)
        self.lora_keys = lora_keys
        self.lora = tuple(self._lora_input(name, keys) for name, keys in lora_keys.items())

    def require(self, inputs: set[str], outputs: set[str]) -> None:
        """Check the names of inputs and outputs.

        Raises:
            InvalidBase: an input or output is missing, or an input is unknown.
        """
        fed = inputs | {lora.name for lora in self.lora}
        if missing := (fed - self.shapes.keys()) | (outputs - set(self.outputs)):
            raise InvalidBase(f"the graph {self.name} lacks {', '.join(sorted(missing))}")
        if unknown := self.shapes.keys() - fed:
            raise InvalidBase(f"the graph {self.name} has inputs that base.json does not name: {sorted(unknown)}")

    def _lora_input(self, name: str, keys: tuple[str, ...]) -> AdapterInput:
        shape = self.shapes.get(name)
        if shape is None:
            raise InvalidBase(f"base.json names the adapter input {name}, which the graph {self.name} does not have")
        if len(shape) < 2 or shape.count(None) != 1 or shape[0] != len(keys):
            raise InvalidBase(f"the adapter input {name} of {self.name} has the shape {shape}; expected one open axis")
        return AdapterInput(name, keys, shape)
