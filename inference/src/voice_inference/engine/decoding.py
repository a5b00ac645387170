"""Autoregressive decoding of semantic tokens: a key-value cache that grows in place and is never concatenated."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from voice_inference.bundles.sessions import Tensor
from voice_inference.bundles.voice import Voice

CAPACITIES = (256, 512, 1024, 2048, 4096)  # slots; attention reads all of them, so a small cache is a fast one

Logits = NDArray[np.float32]  # (vocabulary,)


class TokenDecoder:
    """One decoding step after another, in arrays that the step graph reads and writes directly."""

    def __init__(self, voice: Voice, keys: Tensor, values: Tensor) -> None:
        """Start after the prefill's keys and values (layers, 1, heads, positions, width)."""
        self._voice = voice
        self._length = np.array([keys.shape[3]], dtype=np.int64)
        self._token = np.zeros((1, 1), dtype=np.int64)
        self._position = np.zeros(1, dtype=np.int64)
        slot = (*keys.shape[:3], 1, keys.shape[4])
        self._outputs = {
            "logits": np.empty((1, voice.base.end_token + 1), dtype=np.float32),
            "new_keys": np.empty(slot, dtype=np.float32),
            "new_values": np.empty(slot, dtype=np.float32),
        }
        self._reserve(keys, values)

    def step(self, token: int, position: int) -> Logits:
        """Return the logits after a token at a position among the audio tokens; they are valid until the next step."""
        length = int(self._length[0])
        if length == self._keys.shape[3]:
            self._reserve(self._keys, self._values)
        self._token[0, 0], self._position[0] = token, position
        self._graph.run()
        self._keys[:, :, :, length] = self._outputs["new_keys"][:, :, :, 0]
        self._values[:, :, :, length] = self._outputs["new_values"][:, :, :, 0]
        self._length[0] += 1
        logits: Logits = self._outputs["logits"][0]
        return logits

    def _reserve(self, keys: Tensor, values: Tensor) -> None:
        """Move to arrays of the next capacity; unused slots are zero, as masked garbage could still be NaN."""
        filled = keys.shape[3]
        capacity = next((size for size in CAPACITIES if size > filled), 2 * filled)
        shape = (*keys.shape[:3], capacity, keys.shape[4])
        self._keys, self._values = np.zeros(shape, dtype=np.float32), np.zeros(shape, dtype=np.float32)
        self._keys[:, :, :, :filled], self._values[:, :, :, :filled] = keys, values
        inputs = {
            "token": self._token,
            "position": self._position,
            "keys": self._keys,
            "values": self._values,
            "length": self._length,
        }
        self._graph = self._voice.base.step.bind(inputs, self._outputs, self._voice.step)
