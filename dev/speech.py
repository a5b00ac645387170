"""One sentence from a running server, into a WAV file."""

from pathlib import Path
from typing import Any

import httpx
import soundfile

from dev.errors import DevError

SEED = 7
QUIETEST_PEAK = 0.01  # of full scale; below it the file holds silence
SECONDS = (1.5, 30.0)  # a person takes some five for the sentences that are asked for here


def speak(address: str, voice: str, text: str, target: Path, *, remedy: str) -> float:
    """Ask the server for a sentence, keep the WAV and return its seconds.

    Args:
        address: the server, `http://host:port`.
        voice: `<namespace>/<name>`.
        text: the sentence.
        target: the file to write.
        remedy: where the server says more, for its errors.

    Raises:
        DevError: the server refused, or the answer is silence or implausibly short or long.
    """
    request: dict[str, Any] = {"input": text, "voice": voice, "response_format": "wav", "seed": SEED}
    answer = httpx.post(f"{address}/v1/audio/speech", json=request, timeout=120, trust_env=False)
    if answer.status_code != httpx.codes.OK:
        raise DevError(f"the server answered {answer.status_code}: {answer.text[:500]}", remedy=remedy)
    target.write_bytes(answer.content)
    samples, rate = soundfile.read(target, dtype="float32")
    seconds = float(len(samples) / rate)
    peak = float(abs(samples).max()) if len(samples) else 0.0
    if peak < QUIETEST_PEAK or not SECONDS[0] <= seconds <= SECONDS[1]:
        raise DevError(
            f"{target} does not sound like the sentence: {seconds:.1f} s, peak {peak:.3f}", remedy="listen to it"
        )
    return round(seconds, 2)
