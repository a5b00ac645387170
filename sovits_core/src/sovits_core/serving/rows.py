"""Several sentences at once, each with its own voice: the rows of one step. Rows come and go between two steps.

Each row has adapter matrices of its own, put side by side for a batched product as Punica (Chen et al. 2023,
arXiv:2310.18547) and S-LoRA (Sheng et al. 2023, arXiv:2311.03285) do; the base's weights are read once for all rows.
"""

from __future__ import annotations

import math
import mmap
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from sovits_core.serving.sessions import open_session
from sovits_core.serving.step import StepGraph

Array = NDArray[Any]
SLOTS: Final = 512
"""By which the room for positions grows."""
LONG: Final = 1024
"""Positions of a row whose memory is given back when it leaves; that of shorter ones is kept for the next."""


class StepSession:
    """A step graph in ONNX Runtime; it has no state, so any number of rows may share it."""

    def __init__(self, graph: StepGraph, threads: int) -> None:
        self.layers, self.vocabulary = graph.layers, graph.vocabulary
        self.adapter = dict(graph.adapter)
        self.session = open_session(graph.model, graph.folder, threads)
        self.shapes: dict[str, list[Any]] = {given.name: given.shape for given in self.session.get_inputs()}


class Row:
    """One sentence among the rows."""

    def __init__(self, number: int, filled: int, room: int) -> None:
        self.number = number
        """Of its row, which changes as others leave."""
        self.filled = filled
        """Positions that are in the cache."""
        self.end = filled + room


class StepRows:
    """At most so many rows, without a gap between them: what nobody has is not computed.

    Arrays keep their addresses while their room suffices, so they are bound once for each number of rows. Memory is
    taken as it is filled.
    """

    def __init__(self, step: StepSession, most: int) -> None:
        self._step, self._most = step, most
        self._rows: list[Row] = []
        self._slots, self._rank = 0, 0
        self._token, self._position = np.zeros(most, np.int64), np.zeros(most, np.int64)
        self._filled, self._total = np.zeros(most, np.int32), np.zeros(1, np.int32)
        self._logits = np.empty((most, step.vocabulary), np.float32)
        self._cache: dict[str, list[_Unfilled]] = {}  # part -> (rows, heads, slots, width) by layer
        self._adapter: dict[str, Array] = {}  # input -> (rows, ...)
        self._bindings: dict[int, ort.IOBinding] = {}

    def __len__(self) -> int:
        """How many rows there are."""
        return len(self._rows)

    def join(self, adapter: Mapping[str, Array], keys: Array, values: Array, room: int) -> Row:
        """Add a sentence.

        Args:
            adapter: its voice's stacked adapter inputs by name, float16 or float32.
            keys: of its prefill, float32 (layers, 1, heads, positions, width), as are the values.
            values: see keys.
            room: tokens that will be read at most.

        Raises:
            ValueError: there are as many rows as there may be.
        """
        if len(self._rows) == self._most:
            raise ValueError(f"all {self._most} rows are taken")
        row = Row(len(self._rows), keys.shape[3], room)
        given = {name: adapter[stack][index] for name, (stack, index) in self._step.adapter.items()}
        self._make_room(row.end, max((self._rank_of(name, matrix) for name, matrix in given.items()), default=0))
        for name, matrix in given.items():
            self._adapter[name][row.number] = 0
            self._adapter[name][row.number, : matrix.shape[0], : matrix.shape[1]] = matrix
        for part, tensor in (("keys", keys), ("values", values)):
            for layer, cache in enumerate(self._cache[part]):
                cache.array[row.number, :, : row.filled] = tensor[layer, 0]
        self._rows.append(row)
        return row

    def leave(self, row: Row) -> None:
        """Remove a sentence; the last row takes its place."""
        last = self._rows.pop()
        self._forget(row)
        if last is not row:
            self._move(last, row.number)

    def _move(self, last: Row, number: int) -> None:
        """Let the last row have the place of one that has left."""
        for cache in self._caches:
            cache.array[number, :, : last.filled] = cache.array[last.number, :, : last.filled]
        for matrices in self._adapter.values():
            matrices[number] = matrices[last.number]
        self._forget(last)
        last.number = number
        self._rows[number] = last

    def _forget(self, row: Row) -> None:
        """Give the memory of a row's place back, where that may be much."""
        if row.end > LONG:
            for cache in self._caches:
                cache.forget(row.number)

    @property
    def _caches(self) -> list[_Unfilled]:
        return [cache for part in self._cache.values() for cache in part]

    def read(self, tokens: Mapping[Row, tuple[int, int]]) -> NDArray[np.float32]:
        """Read a token and its place among the audio tokens for each row.

        Returns:
            Logits (rows, vocabulary) by the rows' numbers, valid until the next call.

        Raises:
            IndexError: a row has no room.
        """
        for row in self._rows:
            if row.filled >= row.end:
                raise IndexError(f"row {row.number} has no room for more than {row.end} positions")
            self._token[row.number], self._position[row.number] = tokens[row]
            self._filled[row.number] = row.filled
        self._total[0] = self._filled[: len(self)].max() + 1
        self._step.session.run_with_iobinding(self._binding())
        for row in self._rows:
            row.filled += 1
        return self._logits[: len(self)]

    def _rank_of(self, name: str, matrix: Array) -> int:
        return int(matrix.shape[self._step.shapes[name].index("rank") - 1])

    def _make_room(self, slots: int, rank: int) -> None:
        """Have room for so many positions in each row, and adapters of this rank."""
        if slots > self._slots:
            self._slots = -(-slots // SLOTS) * SLOTS
            self._cache = {part: self._larger_cache(part) for part in ("keys", "values")}
            self._bindings.clear()
        if rank > self._rank:
            self._rank = rank
            self._adapter = {name: self._larger_adapter(name) for name in self._step.adapter}
            self._bindings.clear()

    def _larger_cache(self, part: str) -> list[_Unfilled]:
        found = []
        for layer in range(self._step.layers):
            _, heads, _, width = self._step.shapes[f"past_{part}.{layer}"]
            cache = _Unfilled((self._most, heads, self._slots, width))
            for row in self._rows:
                before = self._cache[part][layer].array
                cache.array[row.number, :, : row.filled] = before[row.number, :, : row.filled]
            found.append(cache)
        return found

    def _larger_adapter(self, name: str) -> Array:
        _, *sizes = (self._rank if size == "rank" else size for size in self._step.shapes[name])
        matrices = np.zeros((self._most, *sizes), np.float32)
        if name in self._adapter:
            before = self._adapter[name]
            matrices[:, : before.shape[1], : before.shape[2]] = before
        return matrices

    def _binding(self) -> ort.IOBinding:
        """What is bound for the present number of rows: the beginning of each array; past and present are one."""
        count = len(self)
        if count not in self._bindings:
            binding = self._step.session.io_binding()
            given: dict[str, Array] = {"token": self._token, "position": self._position, "filled": self._filled}
            for name, array in (given | self._adapter).items():
                binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(array[:count]))
            binding.bind_ortvalue_input("total", ort.OrtValue.ortvalue_from_numpy(self._total))
            for part, caches in self._cache.items():
                for layer, cache in enumerate(caches):
                    shared = ort.OrtValue.ortvalue_from_numpy(cache.array[:count])
                    binding.bind_ortvalue_input(f"past_{part}.{layer}", shared)
                    binding.bind_ortvalue_output(f"{part}.{layer}", shared)
            binding.bind_ortvalue_output("logits", ort.OrtValue.ortvalue_from_numpy(self._logits[:count]))
            self._bindings[count] = binding
        return self._bindings[count]


class _Unfilled:
    """Zeros whose memory is taken in small pages as they are written; NumPy's own are taken 2 MiB at a time."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._memory = mmap.mmap(-1, 4 * math.prod(shape), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        if hasattr(mmap, "MADV_NOHUGEPAGE"):
            self._memory.madvise(mmap.MADV_NOHUGEPAGE)
        self.array: NDArray[np.float32] = np.frombuffer(self._memory, np.float32).reshape(shape)

    def forget(self, row: int) -> None:
        """Make a row zeros again, and give its memory back."""
        size = self.array[row].nbytes
        if size % mmap.PAGESIZE == 0 and hasattr(mmap, "MADV_DONTNEED"):
            self._memory.madvise(mmap.MADV_DONTNEED, row * size, size)
