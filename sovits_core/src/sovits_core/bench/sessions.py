"""Exported graphs in ONNX Runtime, called as a server calls them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

Array = NDArray[Any]

CACHE_BLOCK = 256
"""Slots by which a cache grows; attention reads them all."""


class Session:
    """One graph, with an adapter that changes nothing."""

    def __init__(self, path: Path, lora: list[dict[str, Any]], threads: int) -> None:
        """`lora`: the entries of the graph in base.json."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        shapes = {given.name: given.shape for given in self.session.get_inputs()}
        names = [str(entry["name"]) for entry in lora]
        # the one axis with a name is the rank: zeros of rank one are the base itself
        self.adapter = {
            name: np.zeros([size if isinstance(size, int) else 1 for size in shapes[name]], np.float32)
            for name in names
        }

    def run(self, inputs: Mapping[str, Array]) -> list[Array]:
        """Outputs in the graph's order."""
        outputs: list[Array] = self.session.run(None, {**inputs, **self.adapter})
        return outputs


class StepLoop:
    """The token loop over a step graph: it reads a cache in place that only grows by whole blocks."""

    def __init__(self, step: Session, keys: Array, values: Array) -> None:
        """Start behind a prefill's keys and values (layers, 1, heads, positions, width)."""
        self._step = step
        self._length = np.array([keys.shape[3]], dtype=np.int64)
        self._token, self._position = np.zeros((1, 1), dtype=np.int64), np.zeros(1, dtype=np.int64)
        self._grow(keys, values)

    def read(self, token: int, position: int) -> Array:
        """The logits (vocabulary) after a token at a place among the audio tokens."""
        length = int(self._length[0])
        if length == self._keys.shape[3]:
            self._grow(self._keys, self._values)
        self._token[0, 0], self._position[0] = token, position
        self._step.session.run_with_iobinding(self._binding)
        logits, new_keys, new_values = (output.numpy() for output in self._binding.get_outputs())
        self._keys[:, :, :, length], self._values[:, :, :, length] = new_keys[:, :, :, 0], new_values[:, :, :, 0]
        self._length[0] += 1
        result: Array = logits[0]
        return result

    def _grow(self, keys: Array, values: Array) -> None:
        blocks = keys.shape[3] // CACHE_BLOCK + 1
        shape = (*keys.shape[:3], blocks * CACHE_BLOCK, keys.shape[4])
        self._keys, self._values = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        self._keys[:, :, :, : keys.shape[3]], self._values[:, :, :, : keys.shape[3]] = keys, values
        inputs = {
            "token": self._token,
            "position": self._position,
            "keys": self._keys,
            "values": self._values,
            "length": self._length,
            **self._step.adapter,
        }
        self._binding = self._step.session.io_binding()
        # kept beside the binding, which shares their memory
        self._values_bound = {name: onnxruntime.OrtValue.ortvalue_from_numpy(array) for name, array in inputs.items()}
        for name, value in self._values_bound.items():
            self._binding.bind_ortvalue_input(name, value)
        for output in self._step.session.get_outputs():
            self._binding.bind_output(output.name)
