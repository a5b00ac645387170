"""Tokens to samples, all at once or in parts while more tokens come: the first sound need not wait for a sentence.

A part is decoded from all tokens so far, as the encoder looks at all of them, and joined to the parts before it
(`sovits_core.synthesis.joining`). Parts grow, so that all of them cost about as much as the sentence once more.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from sovits_core.synthesis.joining import Joiner, Overlap
from voice_inference.bundles.sessions import Tensor
from voice_inference.bundles.voice import Voice
from voice_inference.engine.audio import Samples
from voice_inference.engine.tokens import Ids

NOISE_SCALE: Final = 0.5
FRAMES_PER_TOKEN: Final = 2
FRAMES_PER_SECOND: Final = 50
FIRST_PART: Final = 10  # tokens, 0.4 s: as little as can be played while the next part is made
OVERLAP: Final = Overlap()
LOOKAHEAD: Final = OVERLAP.lookahead // FRAMES_PER_TOKEN  # tokens


class PartDecoder:
    """Decodes one sentence; what it has given away can no longer change."""

    def __init__(self, voice: Voice, phones: Ids, rng: np.random.Generator) -> None:
        """Take the sentence's phones (T,), and a generator for the noise alone: a frame's noise depends on no other."""
        self._voice, self._phones, self._rng = voice, phones, rng
        self._joiner = Joiner(voice.base.sample_rate // FRAMES_PER_SECOND, OVERLAP)
        self._noise = np.zeros((0, voice.base.decode.shapes["noise"][1] or 0), dtype=np.float32)  # (frames, channels)

    def push(self, tokens: Ids) -> Samples:
        """Return the samples (m,) that these tokens (n,) and those before them settle."""
        return self._advance(tokens, self._joiner.ready(FRAMES_PER_TOKEN * tokens.size))

    def finish(self, tokens: Ids) -> Samples:
        """Return the rest, with all tokens (n,) of the sentence: as many samples in all as they have."""
        return self._advance(tokens, FRAMES_PER_TOKEN * tokens.size)

    def _advance(self, tokens: Ids, until: int) -> Samples:
        inputs: dict[str, Tensor] = {
            "codes": tokens[None],  # (1, n)
            "text": self._phones[None],  # (1, T)
            "ge": self._voice.prompt.speaker_embedding,  # (1, embedding, 1)
            "noise": self._noise_of(FRAMES_PER_TOKEN * tokens.size),  # (1, channels, frames)
        }
        wav: Samples = self._voice.base.decode.run(inputs, self._voice.decode)["wav"].reshape(-1)
        return self._joiner.advance(wav, 0, until)

    def _noise_of(self, frames: int) -> NDArray[np.float32]:
        fresh = self._rng.standard_normal((frames - len(self._noise), self._noise.shape[1]), dtype=np.float32)
        self._noise = np.concatenate([self._noise, fresh * np.float32(NOISE_SCALE)])
        return np.ascontiguousarray(self._noise.T)[None]


def next_part(tokens: int) -> int:
    """Return after how many tokens the part after one that ends with so many is ready to be decoded.

    The parts end after 10, 30, 70, 150 … tokens; each waits for the lookahead.
    """
    ended = max(0, tokens - LOOKAHEAD)
    return 2 * ended + FIRST_PART + LOOKAHEAD
