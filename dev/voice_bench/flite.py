"""Flite's voices: the base's synthetic speakers, an upper bound for recognition, and the reference of durations."""

from __future__ import annotations

import tempfile
from pathlib import Path

import soundfile

from dev.terminal import run
from dev.voice_bench.audio import RATE, Wave
from voice_trainer.recordings.audio import resample
from voice_trainer.recordings.vad import detect

VOICES = ("slt", "rms", "awb", "kal16")
REFERENCE = "rms"
"""The voice whose durations are the reference."""
PROMPT = "The evening train was late again, so we waited inside and read the paper."
"""Text of a base voice's prompt; not among the sentences."""


def synthesize(text: str, voice: str) -> Wave:
    """Return (samples) at 16 kHz, trimmed as the trainer trims recordings: 0.15 s of silence are left on either side.

    Raises:
        DevError: flite is missing or fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "speech.wav"
        run(["flite", "-voice", voice, "-t", text, "-o", target], remedy="install flite with `make setup`")
        samples, rate = soundfile.read(target, dtype="float32")
    wav16: Wave = resample(samples, rate, RATE)
    begin, end = detect(wav16).span()
    return wav16[int(begin * RATE) : int(end * RATE)]
