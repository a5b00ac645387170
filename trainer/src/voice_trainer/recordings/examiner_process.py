"""The program that measures and denoises clips, apart from the job: what it works on was recorded by anybody.

Started by ``job/workers.py``, which says how it is asked. ``op`` is one of

* ``measure``: the data are ``samples`` float32 at ``rate`` Hz, then the same clip at 16 kHz; answers the measures, and
  the bytes of the fingerprint.
* ``denoise``: the data are a clip at 48 kHz; answers the clip without noise.
"""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from typing import Any

import numpy as np

from voice_trainer.recordings import acoustics, fingerprints
from voice_trainer.recordings.decoding import Samples
from voice_trainer.recordings.denoising import Denoiser
from voice_trainer.recordings.dnsmos import Rater
from voice_trainer.recordings.speakers import SpeakerEncoder, agreement, unit
from voice_trainer.recordings.transcripts import LANGUAGE, RATE, PhoneRecogniser
from voice_trainer.recordings.vad import FRAME, detect

Answer = tuple[dict[str, Any], bytes]

rater, encoder, recogniser, denoiser = cache(Rater), cache(SpeakerEncoder), cache(PhoneRecogniser), cache(Denoiser)


def measure(asked: dict[str, Any], data: Samples) -> Answer:
    """Return all that is known of one clip by itself."""
    source, clip = data[: asked["samples"]], data[asked["samples"] :]
    voiced = detect(clip).voiced
    spoken = clip[: len(voiced) * FRAME].reshape(-1, FRAME)[voiced].reshape(-1)
    if not len(spoken):
        spoken = clip
    voices = encoder().partials(spoken)
    measures = {
        "clippedPercent": 100 * acoustics.clipped_share(source),
        "bandwidthHz": acoustics.bandwidth(source, asked["rate"]),
        "humDb": acoustics.hum(clip, RATE, float(np.mean(np.square(spoken, dtype=np.float64)))),
        "decaySeconds": acoustics.decay_seconds(clip, RATE),
        "steadyTones": acoustics.steady_tones(clip, RATE),
        "ratings": asdict(rater().rate(clip)),
        "embedding": [round(float(value), 4) for value in unit(voices.mean(axis=0))],
        "voiceAgreement": agreement(voices),
        "heard": list(recogniser().phones(clip)) if asked["language"] == LANGUAGE else None,
    }
    return measures, fingerprints.fingerprint(clip).tobytes()


def denoise(_: dict[str, Any], data: Samples) -> Answer:
    """Return the clip without noise, as long as it was."""
    return {}, np.ascontiguousarray(denoiser().denoise(data), dtype="<f4").tobytes()


OPERATIONS: dict[str, Callable[[dict[str, Any], Samples], Answer]] = {
    "measure": measure,
    "denoise": denoise,
}


def main() -> None:
    """Answer each line until there is none."""
    given, made = (
        os.fdopen(int(number), mode, buffering=0) for number, mode in zip(sys.argv[1:3], ("rb", "wb"), strict=True)
    )
    for line in sys.stdin:
        asked = json.loads(line)
        given.seek(0)
        data = np.frombuffer(given.read(), dtype="<f4")
        made.seek(0)
        try:
            answer, output = OPERATIONS[asked["op"]](asked, data)
            rest = memoryview(output)
            while rest:
                rest = rest[made.write(rest) :]
        except (ValueError, ArithmeticError, MemoryError, RuntimeError) as error:
            answer = {"error": str(error)[:200] or type(error).__name__}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
