"""The token loop over a step graph: one token after another, on a cache that the graph writes in place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from sovits_core.serving.sessions import open_session
from sovits_core.serving.step import StepGraph

Array = NDArray[Any]


class StepSession:
    """A step graph in ONNX Runtime; it has no state, so any number of loops may share it."""

    def __init__(self, graph: StepGraph, threads: int) -> None:
        self.layers, self.vocabulary = graph.layers, graph.vocabulary
        self.adapter = dict(graph.adapter)
        self.session = open_session(graph.model, graph.folder, threads)


class StepLoop:
    """Tokens of one sentence; its arrays keep their addresses, so they are bound once."""

    def __init__(self, step: StepSession, adapter: Mapping[str, Array], keys: Array, values: Array, room: int) -> None:
        """Start behind a prefill.

        Args:
            step: of the base.
            adapter: stacked adapter inputs by name, float32.
            keys: of the prefill, float32 (layers, 1, heads, positions, width), as are the values.
            values: see keys.
            room: tokens that will be read at most. Memory is taken as it is filled, not for all of them at once.
        """
        filled = keys.shape[3]
        self._end = filled + room
        self._token, self._position = np.zeros(1, np.int64), np.zeros(1, np.int64)
        self._filled, self._total = np.array([filled], np.int32), np.array([filled + 1], np.int32)
        self._logits = np.empty((1, step.vocabulary), np.float32)
        self._session, self._binding = step.session, step.session.io_binding()
        self._bind("token", self._token)
        self._bind("position", self._position)
        self._bind("filled", self._filled)
        self._bind("total", self._total)
        for name, (stack, index) in step.adapter.items():
            self._bind(name, adapter[stack][index])
        for part, given in (("keys", keys), ("values", values)):
            cache = np.zeros((*given.shape[:3], self._end, given.shape[4]), np.float32)
            cache[:, :, :, :filled] = given
            for layer in range(step.layers):
                shared = ort.OrtValue.ortvalue_from_numpy(cache[layer])
                self._binding.bind_ortvalue_input(f"past_{part}.{layer}", shared)
                self._binding.bind_ortvalue_output(f"{part}.{layer}", shared)
        self._binding.bind_ortvalue_output("logits", ort.OrtValue.ortvalue_from_numpy(self._logits))

    def read(self, token: int, position: int) -> NDArray[np.float32]:
        """Return the logits (vocabulary) after a token at a place among the audio tokens; valid until the next call."""
        if self._total[0] > self._end:
            raise IndexError(f"the cache has no room for more than {self._end} positions")
        self._token[0], self._position[0] = token, position
        self._session.run_with_iobinding(self._binding)
        self._filled += 1
        self._total += 1
        logits: NDArray[np.float32] = self._logits[0]
        return logits

    def _bind(self, name: str, array: Array) -> None:
        self._binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(array))
