"""Flite's voices: the base's own speakers, the clearest speech the recogniser can get, and the measure of durations."""

from __future__ import annotations

import tempfile
from pathlib import Path

import soundfile

from dev.terminal import run
from dev.voice_bench.waves import RATE, Wave
from voice_trainer.recordings.audio import resample
from voice_trainer.recordings.vad import detect

VOICES = ("slt", "rms", "awb", "kal16")
CLOCK = "rms"
"""The voice whose durations everything is compared with."""
PROMPT = "The evening train was late again, so we waited inside and read the paper."
"""What a flite voice says in the prompt of a base voice; not among the sentences."""


def speak(text: str, voice: str) -> Wave:
    """Return (samples) at 16 kHz, cut as the trainer cuts recordings: 0.15 s of silence stay on either side.

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
