"""Speaker embeddings of Resemblyzer's GE2E encoder, with the weights of its own wheel.

Wan et al. 2017, Generalized End-to-End Loss for Speaker Verification, arXiv:1710.10467.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dev.voice_bench.audio import Wave

with warnings.catch_warnings():
    # Resemblyzer imports a name from where SciPy no longer keeps it; nothing of ours can change that.
    warnings.simplefilter("ignore", DeprecationWarning)
    import resemblyzer

Embedding = NDArray[np.float32]  # (256), of length 1


class SpeakerEncoder:
    """The encoder, loaded once."""

    def __init__(self) -> None:
        self._encoder = resemblyzer.VoiceEncoder("cpu", verbose=False)

    def embed(self, wav16: Wave) -> Embedding:
        """Return the unit vector (256) of a recording (samples) at 16 kHz; long silences do not count."""
        if not wav16.any():
            return np.zeros(self._encoder.linear.out_features, dtype=np.float32)
        # Clipped after the level is raised: the voice activity detector takes 16-bit samples.
        spoken = resemblyzer.preprocess_wav(np.clip(wav16, -1.0, 1.0))
        vector: Embedding = self._encoder.embed_utterance(spoken if len(spoken) else wav16)
        return vector

    def centroid(self, recordings: Sequence[Wave]) -> Embedding:
        """Return the unit vector of a speaker: the mean over recordings."""
        mean = np.mean([self.embed(wav) for wav in recordings], axis=0)
        vector: Embedding = mean / np.linalg.norm(mean)
        return vector


def secs(first: Embedding, second: Embedding) -> float:
    """Cosine similarity of two speaker embeddings: 1 for the same recording, some 0.5 for different speakers."""
    return float(first @ second)
