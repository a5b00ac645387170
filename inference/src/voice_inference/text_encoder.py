"""What S1 sees of a Mandarin text beside its phones: the vector of each character, repeated for each of its phones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sovits_core.text import PhonemeSegment
from sovits_core.text.chinese.characters import Characters
from voice_inference.graphs import Graph

TOKENS, VECTORS = "tokens", "vectors"
LONGEST = 510  # characters at once: a BERT has 512 places, two of them for its marks

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class TextEncoder:
    """The base's BERT, and the numbers of the characters that it knows."""

    graph: Graph
    characters: Characters
    width: int

    def rows(self, spoken: Sequence[PhonemeSegment]) -> Vectors:
        """Return float32 (phones, width) for the parts of a text; rows of other languages than Mandarin are zero."""
        rows = [np.zeros((0, self.width), dtype=np.float32)]
        for part in spoken:
            if part.language == "zh" and part.word2ph is not None:
                rows.append(self._of_characters(part.normalized).repeat(part.word2ph, axis=0))
            else:
                rows.append(np.zeros((len(part.phones), self.width), dtype=np.float32))
        return np.concatenate(rows)

    def _of_characters(self, text: str) -> Vectors:
        """Return float32 (characters, width); a text that is too long is read in pieces."""
        pieces = [text[start : start + LONGEST] for start in range(0, len(text), LONGEST)]
        tokens = [self.characters.tokens(piece) for piece in pieces]
        return np.concatenate([self.graph.run({TOKENS: given}, {})[VECTORS][0] for given in tokens])
