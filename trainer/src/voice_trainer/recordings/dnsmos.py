"""DNSMOS P.835: how listeners would rate a clip's speech, its background and the whole, from 1 to 5.

Reddy et al. 2022, DNSMOS P.835, arXiv:2110.01763; coefficients as in the official dnsmos_local.py.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnxruntime

from voice_trainer.recordings.decoding import Samples
from voice_trainer.recordings.loudness import rms_dbfs
from voice_trainer.recordings.models import DNSMOS, verified

RATE = 16_000  # Hz
WINDOW = int(9.01 * RATE)  # samples that the network takes
MAX_WINDOWS = 4  # of a long clip, evenly spread
LEVEL_DBFS = -26.0  # RMS; one level for all, because the network also rates loudness
# From the network's outputs to ratings: polynomials, the highest power first.
SPEECH = (-0.08397278, 1.22083953, 0.0052439)
BACKGROUND = (-0.13166888, 1.60915514, -0.39604546)
OVERALL = (-0.06766283, 1.11546468, 0.04602535)


@dataclass(frozen=True)
class Ratings:
    """Mean opinion scores, 1 (bad) to 5 (excellent)."""

    speech: float
    background: float
    overall: float


class Rater:
    """The network, loaded once."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.enable_cpu_mem_arena = options.enable_mem_pattern = False  # else 200 MB stay between two clips
        self._session = onnxruntime.InferenceSession(str(verified(DNSMOS)), options, providers=["CPUExecutionProvider"])

    def rate(self, samples: Samples) -> Ratings:
        """Return the ratings of a clip at 16 kHz; a short one is repeated, as the official program does."""
        loud = samples * np.float32(10 ** ((LEVEL_DBFS - rms_dbfs(samples)) / 20))
        tiled = np.tile(loud, -(-WINDOW // len(loud))) if len(loud) < WINDOW else loud
        count = min(MAX_WINDOWS, 1 + (len(tiled) - WINDOW) // RATE)
        starts = np.linspace(0, len(tiled) - WINDOW, count).astype(int)
        outputs = [
            self._session.run(None, {"input_1": tiled[None, start : start + WINDOW].astype(np.float32)})[0][0]
            for start in starts
        ]
        speech, background, overall = np.array(outputs, dtype=np.float64).T
        return Ratings(
            speech=float(np.polyval(SPEECH, speech).mean()),
            background=float(np.polyval(BACKGROUND, background).mean()),
            overall=float(np.polyval(OVERALL, overall).mean()),
        )
