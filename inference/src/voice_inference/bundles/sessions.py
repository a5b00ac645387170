"""ONNX Runtime sessions whose adapters are inputs, so that all voices share the sessions of one base."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from sovits_core.serving.decoder import DecoderSession, split_decoder
from sovits_core.serving.rounding import WeightBits
from sovits_core.serving.rows import StepSession
from sovits_core.serving.sessions import open_session
from sovits_core.serving.step import build_step
from voice_inference.bundles.stored import StoredGraph
from voice_inference.errors import InvalidBase

Tensor = NDArray[Any]
Adapter = Mapping[str, Tensor]  # graph input -> the stacked tensors of one voice, float16 or float32


def widened(adapter: Adapter) -> Adapter:
    """Return an adapter as graphs take it, in float32."""
    return {name: stack.astype(np.float32, copy=False) for name, stack in adapter.items()}


class GraphSession:
    """One graph in a session, for single runs."""

    def __init__(self, stored: StoredGraph, *, threads: int) -> None:
        """Open a graph, as it is now. Raises ``InvalidBase``."""
        self.path, self.shapes, self.lora = stored.path, stored.shapes, stored.lora
        self._outputs = stored.outputs
        with _named(stored):
            self._session = open_session(stored.model, stored.path.parent, threads)

    def run(self, inputs: Mapping[str, Tensor], adapter: Adapter) -> dict[str, Tensor]:
        """Run once; the arrays are used in place."""
        given = {**inputs, **widened(adapter)}
        feeds = {name: ort.OrtValue.ortvalue_from_numpy(array) for name, array in given.items()}
        results = self._session.run_with_ort_values(self._outputs, feeds)
        return {name: result.numpy() for name, result in zip(self._outputs, results, strict=True)}


class Decoder:
    """S2: latents of a whole sentence, and samples of any stretch of them; ``lora`` and ``shapes`` as stored."""

    def __init__(self, stored: StoredGraph, *, threads: int) -> None:
        """Split and open it. Raises ``InvalidBase`` and ``BaseRejected``."""
        self.path, self.shapes, self.lora = stored.path, stored.shapes, stored.lora
        graphs = split_decoder(stored.model)
        with _named(stored):
            self.session = DecoderSession(graphs, stored.path.parent, threads)


class Step:
    """S1's step, built anew from the weights of the stored one; ``lora`` as that has it."""

    def __init__(self, stored: StoredGraph, *, threads: int, bits: WeightBits) -> None:
        """Build and open it. Raises ``InvalidBase`` and ``BaseRejected``."""
        self.lora = stored.lora
        graph = build_step(stored.model, stored.path.parent, stored.lora_keys, bits)
        with _named(stored):
            self.session = StepSession(graph, threads)


@contextmanager
def _named(stored: StoredGraph) -> Iterator[None]:
    """Say which graph it is that cannot be loaded."""
    try:
        yield
    except Exception as error:  # onnxruntime has one class per status code, all directly below Exception
        raise InvalidBase(f"{stored.path.name} cannot be loaded by ONNX Runtime: {str(error)[:500]}") from error
