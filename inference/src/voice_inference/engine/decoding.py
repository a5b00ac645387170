"""Audio files as samples, by FFmpeg as a library; as much of a file as is asked for, however long it says it is."""

from __future__ import annotations

import av
import numpy as np

from voice_inference.engine.audio import Samples


def decode(container: av.container.InputContainer, rate: int, *, max_seconds: float) -> Samples:
    """Return the beginning of an open file as float32 (samples,), at most about so many seconds.

    Args:
        container: the open file; its first stream of sound is read.
        rate: of the samples that are returned, in Hz.
        max_seconds: from there on nothing is read.

    Raises:
        OSError, ValueError: FFmpeg cannot read it.
    """
    resampler = av.AudioResampler("flt", "mono", rate)
    parts: list[Samples] = []
    size = 0
    for frame in container.decode(audio=0):
        for one in resampler.resample(frame):
            parts.append(one.to_ndarray().reshape(-1).astype(np.float32))
            size += parts[-1].size
        if size > max_seconds * rate:
            break
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.float32)
