"""Adapters in memory: those that were used last, in at most so many bytes; others lie in the files of their bundles.

A voice costs some megabytes in memory, or nothing but a file. What is read again is hashed first, as files of a cache
are no better than whoever can write there.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from voice_inference.bundles.sessions import Adapter, Tensor
from voice_inference.bundles.stored import AdapterInput
from voice_inference.errors import InvalidVoice
from voice_inference.metrics import Metrics


@dataclass(frozen=True)
class Adapters:
    """A voice's adapter as the inputs of each graph; what graphs have in common is the same array."""

    prefill: Adapter
    step: Adapter
    decode: Adapter

    @property
    def size(self) -> int:
        """Bytes in memory."""
        arrays = {id(stack): stack for adapter in (self.prefill, self.step, self.decode) for stack in adapter.values()}
        return sum(stack.nbytes for stack in arrays.values())


class AdapterCache:
    """Safe in threads; at least the adapters that were used last are kept."""

    def __init__(self, limit: int, metrics: Metrics) -> None:
        """Keep adapters in at most so many bytes; what is being spoken with stays beside that."""
        self._limit = limit
        self._held: OrderedDict[str, Adapters] = OrderedDict()  # by digest, used last at the end
        self._size = 0
        self._lock = threading.Lock()
        self._reads = metrics.adapter_reads
        metrics.adapters_in_memory.set_function(lambda: len(self._held))

    def put(self, digest: str, adapters: Adapters) -> None:
        """Keep the adapters of the bundle with this digest."""
        with self._lock:
            self._drop(digest)
            self._held[digest] = adapters
            self._size += adapters.size
            while self._size > self._limit and len(self._held) > 1:
                self._drop(next(iter(self._held)))

    def get(self, digest: str, read: Callable[[], Adapters]) -> Adapters:
        """Return adapters from memory, or else as ``read`` returns them."""
        with self._lock:
            if digest in self._held:
                self._held.move_to_end(digest)
                return self._held[digest]
        adapters = read()
        self._reads.inc()
        self.put(digest, adapters)
        return adapters

    def keep_only(self, digests: set[str]) -> None:
        """Drop the adapters of all other bundles."""
        with self._lock:
            for digest in [*self._held]:
                if digest not in digests:
                    self._drop(digest)

    def _drop(self, digest: str) -> None:
        if digest in self._held:
            self._size -= self._held.pop(digest).size


@dataclass(frozen=True)
class AdapterFile:
    """An adapter that has been checked once, and how it becomes inputs of graphs."""

    path: Path
    sha256: str
    rank: int
    graphs: tuple[tuple[AdapterInput, ...], ...]
    """Of prefill, step and decode."""

    def read(self) -> Adapters:
        """Read it again.

        Raises:
            InvalidVoice: the file is gone, or another one.
        """
        try:
            data = self.path.read_bytes()
            if hashlib.sha256(data).hexdigest() != self.sha256:
                raise InvalidVoice(f"{self.path.name} has changed in the cache; start the server again")
            tensors = load(data)
        except (OSError, SafetensorError) as error:
            raise InvalidVoice(f"{self.path.name} cannot be read from the cache: {error}") from error
        return stacked(self.graphs, tensors, self.rank)


def stacked(graphs: Iterable[Iterable[AdapterInput]], tensors: Mapping[str, Tensor], rank: int) -> Adapters:
    """Return the inputs of prefill, step and decode: float16 where all of their tensors are, else float32.

    Raises:
        InvalidVoice: a tensor is of another type, or has values that are not finite.
    """
    graphs = [tuple(graph) for graph in graphs]
    shared = {lora: _stack(lora, tensors, rank) for graph in graphs for lora in graph}
    prefill, step, decode = ({lora.name: shared[lora] for lora in graph} for graph in graphs)
    return Adapters(prefill, step, decode)


def _stack(lora: AdapterInput, tensors: Mapping[str, Tensor], rank: int) -> Tensor:
    """Return the input (keys, ...)."""
    expected = lora.stack_shape(rank)
    given = [tensors[key].reshape(expected[1:]) for key in lora.keys]  # a convolution's last axis has length 1
    for key, tensor in zip(lora.keys, given, strict=True):
        if tensor.dtype not in {np.dtype(np.float16), np.dtype(np.float32)}:
            raise InvalidVoice(f"{key} holds {tensor.dtype}, expected float16 or float32")
    stack: Tensor = np.stack(given)
    if not np.isfinite(stack).all():
        raise InvalidVoice(f"the tensors of {lora.name} hold values that are not finite")
    return stack
