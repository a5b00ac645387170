"""Tokens to samples, all at once or in parts while more tokens come: the first sound need not wait for a sentence.

The encoder looks at all tokens so far, as it does not know where a sentence ends; only new frames become samples, which
are joined to the part before (`sovits_core.synthesis.joining`). Parts grow, so that the encoder runs seldom.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Final

import numpy as np
from numpy.typing import NDArray

from sovits_core.serving.decoder import stretches
from sovits_core.synthesis.joining import Joiner, Overlap
from voice_inference.bundles.sessions import Adapter, Tensor, widened
from voice_inference.bundles.voice import Voice
from voice_inference.engine.audio import Samples
from voice_inference.engine.tokens import Ids

NOISE_SCALE: Final = 0.5
FRAMES_PER_TOKEN: Final = 2
FRAMES_PER_SECOND: Final = 50
FIRST_PART: Final = 10  # tokens, 0.4 s: as little as can be played while the next part is made
OVERLAP: Final = Overlap()
LOOKAHEAD: Final = OVERLAP.lookahead // FRAMES_PER_TOKEN  # tokens
Turn = Callable[[], AbstractContextManager[None]]


class PartDecoder:
    """Decodes one sentence; what it has given away can no longer change."""

    def __init__(self, voice: Voice, adapter: Adapter, phones: Ids, rng: np.random.Generator, turn: Turn) -> None:
        """Prepare for a sentence.

        Args:
            voice: who speaks.
            adapter: of the voice, for the decoder.
            phones: int64 (T,) of the sentence.
            rng: for the noise alone; a frame's noise depends on no other.
            turn: is entered for each computation.
        """
        self._voice, self._adapter = voice, widened(adapter)
        self._phones, self._rng, self._turn = phones, rng, turn
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
        decode, frames = self._voice.base.decode.session, FRAMES_PER_TOKEN * tokens.size
        with self._turn():
            latents = decode.latents({**inputs, **self._adapter})
        first, last = self._joiner.needed(until, frames)
        made = []
        for start, end in stretches(first, last):
            with self._turn():
                made.append(decode.wave(latents, start, end))
        return self._joiner.advance(np.concatenate(made), first, until)

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
