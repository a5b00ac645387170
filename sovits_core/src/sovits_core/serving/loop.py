"""The token loop of one sentence alone: one token after another, as benchmarks and tests read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sovits_core.serving.rows import StepRows, StepSession

Array = NDArray[Any]


class StepLoop:
    """The only row of a step."""

    def __init__(self, step: StepSession, adapter: Mapping[str, Array], keys: Array, values: Array, room: int) -> None:
        """Start behind a prefill; the arguments are those of `StepRows.join`."""
        self._rows = StepRows(step, 1)
        self._row = self._rows.join(adapter, keys, values, room)

    def read(self, token: int, position: int) -> NDArray[np.float32]:
        """Return the logits (vocabulary) after a token at a place among the audio tokens; valid until the next call.

        Raises:
            IndexError: there is no room.
        """
        logits: NDArray[np.float32] = self._rows.read({self._row: (token, position)})[0]
        return logits
