"""The program that measures a waveform with models that are not the voice's own, apart from the job.

Started by ``job/workers.py``, which says how it is asked. The data are float32 samples at 16 kHz. The question is
empty; the answer has ``overall`` (DNSMOS), ``embedding`` (GE2E, 256), ``speechSeconds`` and ``longestPause`` (between
the first and the last speech).
"""

import json
import os
import sys
from functools import cache
from typing import Any

import numpy as np

from voice_trainer.recordings.decoding import Samples
from voice_trainer.recordings.dnsmos import Rater
from voice_trainer.recordings.speakers import SpeakerEncoder
from voice_trainer.recordings.vad import FRAME, FRAME_SECONDS, detect

rater, encoder = cache(Rater), cache(SpeakerEncoder)


def measure(samples: Samples) -> dict[str, Any]:
    """Return all measures of one waveform."""
    voiced = detect(samples).voiced
    spoken = samples[: len(voiced) * FRAME].reshape(-1, FRAME)[voiced].reshape(-1)
    frames = np.flatnonzero(voiced)
    return {
        "overall": rater().rate(samples).overall if samples.any() else None,
        "embedding": [round(float(value), 6) for value in encoder().embed(spoken)] if len(spoken) else None,
        "speechSeconds": len(frames) * FRAME_SECONDS,
        "longestPause": float(max(np.diff(frames).max(initial=1) - 1, 0)) * FRAME_SECONDS,
    }


def main() -> None:
    """Answer each line until there is none."""
    with os.fdopen(int(sys.argv[1]), "rb", buffering=0) as given:
        for _ in sys.stdin:
            given.seek(0)
            try:
                answer = measure(np.frombuffer(given.read(), dtype="<f4"))
            except (ValueError, ArithmeticError, MemoryError, RuntimeError) as error:
                answer = {"error": str(error)[:200] or type(error).__name__}
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
