"""Graphs in ONNX Runtime: as a base stores them, which is what is compared with, and as a server makes them of that."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from sovits_core.serving.decoder import DecoderSession, split_decoder, stretches
from sovits_core.serving.guards import drop_nan_guards
from sovits_core.serving.loop import StepLoop
from sovits_core.serving.rounding import WeightBits
from sovits_core.serving.rows import StepRows, StepSession
from sovits_core.serving.sessions import open_session
from sovits_core.serving.step import build_step

Array = NDArray[Any]
Rewrite = Callable[[onnx.ModelProto], object]

RANK = 8
"""Of the adapters of several rows."""
CACHE_BLOCK = 256
"""Slots by which the cache of a stored step grows; its attention reads them all."""


class Session:
    """One graph, with an adapter that changes nothing."""

    def __init__(self, path: Path, lora: list[dict[str, Any]], threads: int, *rewrites: Rewrite) -> None:
        """`lora`: the entries of the graph in base.json; `rewrites`: what a server makes of the graph, in place."""
        self.path, self.lora = path, {str(entry["name"]): list(entry["keys"]) for entry in lora}
        model = onnx.load(path, load_external_data=False)
        for rewrite in rewrites:
            rewrite(model)
        self.session = open_session(model, path.parent, threads)
        shapes = {given.name: given.shape for given in self.session.get_inputs()}
        # the one axis with a name is the rank: zeros of rank one are the base itself
        self.adapter = {
            name: np.zeros([size if isinstance(size, int) else 1 for size in shapes[name]], np.float32)
            for name in self.lora
        }

    def run(self, inputs: Mapping[str, Array]) -> list[Array]:
        """Outputs in the graph's order."""
        outputs: list[Array] = self.session.run(None, {**inputs, **self.adapter})
        return outputs


class Served:
    """A server's step, built from a stored one."""

    def __init__(self, stored: Session, threads: int, bits: WeightBits) -> None:
        model = onnx.load(stored.path, load_external_data=False)
        self._session = StepSession(build_step(model, stored.path.parent, stored.lora, bits), threads)
        self._adapter = stored.adapter
        self._shapes = {given.name: given.shape for given in stored.session.get_inputs()}

    def start(self, keys: Array, values: Array, room: int) -> StepLoop:
        """Return the server's own loop behind a prefill's keys and values (layers, 1, heads, positions, width)."""
        return StepLoop(self._session, self._adapter, keys, values, room)

    def together(self, count: int, keys: Array, values: Array, room: int) -> Callable[[int], object]:
        """Return what reads a token for each of so many rows, all behind one prefill and each with its own adapter.

        It takes the token's place among the audio tokens.
        """
        rows = StepRows(self._session, count)
        joined = [rows.join(self._own_adapter(number), keys, values, room) for number in range(count)]
        return lambda position: rows.read(dict.fromkeys(joined, (7, position)))

    def _own_adapter(self, number: int) -> dict[str, Array]:
        rng, adapter = np.random.default_rng(number), {}
        for name in self._adapter:
            sizes = [size if isinstance(size, int) else RANK for size in self._shapes[name]]
            adapter[name] = (0.01 * rng.standard_normal(sizes)).astype(np.float32)
        return adapter


class ServedDecoder:
    """A server's decoder, made of a stored one."""

    def __init__(self, stored: Session, threads: int) -> None:
        model = onnx.load(stored.path, load_external_data=False)
        drop_nan_guards(model)
        self._session = DecoderSession(split_decoder(model), stored.path.parent, threads)
        self._adapter = stored.adapter

    def run(self, inputs: Mapping[str, Array]) -> list[Array]:
        """Samples (1, n) of all frames, 5 s at a time as a server does."""
        latents = self._session.latents({**inputs, **self._adapter})
        made = [self._session.wave(latents, first, last) for first, last in stretches(0, latents.shape[2])]
        return [np.concatenate(made)[None]]


class StoredStepLoop:
    """The token loop over a stored step: it reads a cache in place that only grows by whole blocks."""

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
        for name, array in inputs.items():
            self._binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(array))
        for output in self._step.session.get_outputs():
            self._binding.bind_output(output.name)
