"""Several sentences at once, each with its own voice: the rows of one step. A row is joined and left between two steps.

Each row has adapter matrices of its own, put side by side for a batched product as Punica (Chen et al. 2023,
arXiv:2310.18547) and S-LoRA (Sheng et al. 2023, arXiv:2311.03285) do; the base's weights are read once for all rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from sovits_core.serving.loop import StepSession

Array = NDArray[Any]


class StepRows:
    """A fixed number of rows over a step whose rows have adapters of their own.

    Rows that nobody has joined are computed too, and mean nothing. All arrays keep their addresses, so they are bound
    once; memory is taken as it is filled.
    """

    def __init__(self, step: StepSession, rows: int, slots: int, rank: int) -> None:
        """Take memory for so many rows of at most so many positions each, with adapters of at most this rank."""
        self._slots, self._rank = slots, rank
        self._session, self._binding = step.session, step.session.io_binding()
        shapes = {given.name: given.shape for given in step.session.get_inputs()}
        self._token, self._position = np.zeros(rows, np.int64), np.zeros(rows, np.int64)
        self._filled = np.zeros(rows, np.int32)
        # where each row's key is written, and the largest of them and one more: within the cache even for a full row
        self._place, self._total = np.zeros(rows, np.int32), np.zeros(1, np.int32)
        self._bind("token", self._token)
        self._bind("position", self._position)
        self._bind("filled", self._place)
        self._bind("total", self._total)
        self._cache = {part: self._bind_cache(part, shapes, step.layers, rows) for part in ("keys", "values")}
        self._adapter: dict[str, list[Array]] = {}  # stacked input -> its matrices (rows, ...) by index
        for name, (stack, index) in step.adapter.items():
            sizes = [rows if size == "rows" else rank if size == "rank" else int(size) for size in shapes[name]]
            matrices = self._adapter.setdefault(stack, [])
            matrices.insert(index, np.zeros(sizes, np.float32))
            self._bind(name, matrices[index])
        self._logits = np.empty((rows, step.vocabulary), np.float32)
        self._binding.bind_ortvalue_output("logits", ort.OrtValue.ortvalue_from_numpy(self._logits))

    def join(self, row: int, adapter: Mapping[str, Array], keys: Array, values: Array) -> None:
        """Let a sentence have a row.

        Args:
            row: that nobody has.
            adapter: its voice's stacked adapter inputs by name, float32.
            keys: of its prefill, float32 (layers, 1, heads, positions, width), as are the values.
            values: see keys.

        Raises:
            ValueError: the adapter has a higher rank, or the prefill more positions, than there is room for.
        """
        filled = keys.shape[3]
        if filled >= self._slots:
            raise ValueError(f"a prefill of {filled} positions leaves no room in {self._slots} slots")
        for stack, matrices in self._adapter.items():
            for index, matrix in enumerate(matrices):
                given = adapter[stack][index]
                if max(given.shape[axis] - matrix.shape[axis + 1] for axis in (0, 1)) > 0:
                    raise ValueError(f"{stack} has the shape {given.shape}; the highest rank is {self._rank}")
                matrix[row] = 0
                matrix[row, : given.shape[0], : given.shape[1]] = given
        for part, given in (("keys", keys), ("values", values)):
            for layer, cache in enumerate(self._cache[part]):
                cache[row, :, :filled] = given[layer, 0]
        self._filled[row] = filled

    def leave(self, row: int) -> None:
        """Give a row back."""
        self._filled[row] = 0

    def read(self, tokens: Mapping[int, tuple[int, int]]) -> NDArray[np.float32]:
        """Read a token and its place among the audio tokens for each row that has one.

        Returns:
            Logits (rows, vocabulary), valid until the next call; other rows' mean nothing, and these rows stand still.

        Raises:
            IndexError: a row has no room.
        """
        for row, (token, position) in tokens.items():
            if self._filled[row] >= self._slots:
                raise IndexError(f"row {row} has no room for more than {self._slots} positions")
            self._token[row], self._position[row] = token, position
        np.minimum(self._filled, self._slots - 1, out=self._place)
        self._total[0] = self._place.max() + 1
        self._session.run_with_iobinding(self._binding)
        for row in tokens:
            self._filled[row] += 1
        return self._logits

    def _bind_cache(self, part: str, shapes: Mapping[str, list[Any]], layers: int, rows: int) -> list[Array]:
        """One array (rows, heads, slots, width) for each layer, past and present in one."""
        found = []
        for layer in range(layers):
            _, heads, _, width = shapes[f"past_{part}.{layer}"]
            cache = np.zeros((rows, heads, self._slots, width), np.float32)
            shared = ort.OrtValue.ortvalue_from_numpy(cache)
            self._binding.bind_ortvalue_input(f"past_{part}.{layer}", shared)
            self._binding.bind_ortvalue_output(f"{part}.{layer}", shared)
            found.append(cache)
        return found

    def _bind(self, name: str, array: Array) -> None:
        self._binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(array))
