"""Audio of the bench: mono, 16 kHz."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import numpy as np
import soundfile
from numpy.typing import NDArray

from voice_trainer.recordings.audio import resample

Wave: TypeAlias = NDArray[np.float32]
"""(samples), full scale is 1.0; at 16 kHz unless stated otherwise."""

RATE = 16_000


def read16(path: Path) -> Wave:
    """Return (samples) at 16 kHz of a file of any rate."""
    samples, rate = soundfile.read(path, dtype="float32")
    return resample(samples, rate, RATE)
