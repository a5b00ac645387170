"""Tensors of a safetensors file, one at a time: names and shapes are judged by the header, before anything is read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from voice_inference.errors import InvalidVoice

HEADER_LIMIT: Final = 2 * 1024 * 1024  # bytes; a tensor has some 150, and the largest adapter a few thousand tensors
LENGTH_BYTES: Final = 8  # a number before the header


class Tensors:
    """An open file."""

    def __init__(self, file: Any) -> None:  # safetensors has no types
        self._file = file
        self.names: frozenset[str] = frozenset(file.keys())

    def shape(self, name: str) -> tuple[int, ...]:
        """Return a tensor's shape, of which the header tells."""
        return tuple(self._file.get_slice(name).get_shape())

    def read(self, name: str) -> NDArray[Any]:
        """Return a tensor; whoever asks has judged its shape."""
        tensor: NDArray[np.generic] = self._file.get_tensor(name)
        return tensor


@contextmanager
def open_tensors(path: Path) -> Iterator[Tensors]:
    """Open a safetensors file, a format that cannot hold code.

    Raises:
        InvalidVoice: it is none, here or while it is read, or its header is larger than any that is needed.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(LENGTH_BYTES), "little")
        if HEADER_LIMIT < length < path.stat().st_size:
            raise InvalidVoice(
                f"{path.name} has a header of {length} bytes, at most {HEADER_LIMIT} are allowed; publish it again"
            )
        with safe_open(path, framework="numpy") as opened:
            yield Tensors(opened)
    except (SafetensorError, OSError, ValueError, TypeError, KeyError) as error:
        raise InvalidVoice(f"{path.name} is no safetensors file of plain numbers: {error}") from error
