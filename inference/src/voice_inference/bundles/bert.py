"""BERT features of Mandarin for S1: one vector per character, repeated for each of its phones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sovits_core.text import PhonemeSegment
from sovits_core.text.chinese.characters import Characters
from voice_inference.bundles.sessions import GraphSession

TOKENS, VECTORS = "tokens", "vectors"
MAX_CHARACTERS = 510  # BERT takes 512 tokens, [CLS] and [SEP] among them

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class BertEncoder:
    """The base's BERT and its vocabulary."""

    graph: GraphSession
    characters: Characters
    width: int

    def features(self, parts: Sequence[PhonemeSegment]) -> Vectors:
        """Return float32 (phones, width) for the parts of a text; zeros for other languages than Mandarin."""
        rows = [np.zeros((0, self.width), dtype=np.float32)]
        for part in parts:
            if part.language == "zh" and part.word2ph is not None:
                rows.append(self.encode(part.normalized).repeat(part.word2ph, axis=0))
            else:
                rows.append(np.zeros((len(part.phones), self.width), dtype=np.float32))
        return np.concatenate(rows)

    def encode(self, text: str) -> Vectors:
        """Return float32 (characters, width); longer texts are encoded in chunks."""
        chunks = [text[start : start + MAX_CHARACTERS] for start in range(0, len(text), MAX_CHARACTERS)]
        tokens = [self.characters.tokens(chunk) for chunk in chunks]
        return np.concatenate([self.graph.run({TOKENS: given}, {})[VECTORS][0] for given in tokens])
