"""ONNX Runtime sessions whose adapters are inputs, so that all voices share the sessions of one base."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnxruntime as ort
from numpy.typing import NDArray

from voice_inference.errors import InvalidBase

Tensor = NDArray[Any]
Adapter = Mapping[str, ort.OrtValue]  # graph input -> the stacked tensors of one voice


@dataclass(frozen=True)
class AdapterInput:
    """One adapter input: the stack, along a new first axis, of the tensors named by ``keys``."""

    name: str
    keys: tuple[str, ...]
    shape: tuple[int | None, ...]  # (keys, ...); the one None is the rank axis

    def stack_shape(self, rank: int) -> tuple[int, ...]:
        """Return the shape that this input has at a rank."""
        return tuple(rank if size is None else size for size in self.shape)


class GraphSession:
    """One ONNX graph in a session; ``shapes`` gives its inputs' sizes, with None where they vary."""

    def __init__(self, path: Path, lora_keys: Mapping[str, tuple[str, ...]], *, threads: int) -> None:
        try:
            self.session = ort.InferenceSession(path, session_options(threads), providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has one class per status code, all directly below Exception
            raise InvalidBase(f"{path.name} cannot be loaded by ONNX Runtime: {str(error)[:500]}") from error
        self.path = path
        self.name = path.stem
        self.shapes = {
            given.name: tuple(size if isinstance(size, int) else None for size in given.shape)
            for given in self.session.get_inputs()
        }
        self.outputs = tuple(output.name for output in self.session.get_outputs())
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

    def run(self, inputs: Mapping[str, Tensor], adapter: Adapter) -> dict[str, Tensor]:
        """Run once; the arrays are used in place."""
        feeds = {name: ort.OrtValue.ortvalue_from_numpy(array) for name, array in inputs.items()}
        results = self.session.run_with_ort_values(self.outputs, {**feeds, **adapter})
        return {name: result.numpy() for name, result in zip(self.outputs, results, strict=True)}

    def bind(self, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor], adapter: Adapter) -> BoundSession:
        """Bind the graph to arrays that keep their addresses, for many runs."""
        return BoundSession(self, inputs, outputs, adapter)

    def _lora_input(self, name: str, keys: tuple[str, ...]) -> AdapterInput:
        shape = self.shapes.get(name)
        if shape is None:
            raise InvalidBase(f"base.json names the adapter input {name}, which the graph {self.name} does not have")
        if len(shape) < 2 or shape.count(None) != 1 or shape[0] != len(keys):
            raise InvalidBase(f"the adapter input {name} of {self.name} has the shape {shape}; expected one open axis")
        return AdapterInput(name, keys, shape)


class BoundSession:
    """A session with an IO binding to fixed arrays: nothing is allocated or copied between runs."""

    def __init__(
        self, graph: GraphSession, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor], adapter: Adapter
    ) -> None:
        self._session = graph.session
        self._binding = graph.session.io_binding()
        for name, array in inputs.items():
            self._binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(array))
        for name, value in adapter.items():
            self._binding.bind_ortvalue_input(name, value)
        for name, array in outputs.items():
            self._binding.bind_ortvalue_output(name, ort.OrtValue.ortvalue_from_numpy(array))

    def run(self) -> None:
        """Run on the present content of the input arrays, and fill the output arrays."""
        self._session.run_with_iobinding(self._binding)


def session_options(threads: int) -> ort.SessionOptions:
    """Return options for one inference at a time on ``threads`` threads."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    # Threads that spin between operators would eat the CPU quota of a pod; on a busy machine it doubled the CPU time.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    return options
