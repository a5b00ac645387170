"""Runs `voice-trainer train` as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dev.errors import DevError
from dev.local_voice.ffmpeg import path_with_ffmpeg
from dev.recordings import Recordings
from dev.stopwatch import Stopwatch
from dev.terminal import stop
from voice_store import StoreUri

NAMESPACE = "try"
STATEMENT = "May be used to train a voice on this machine."
STOP_SECONDS = 30.0  # for the checkpoint of an interrupted training


@dataclass(frozen=True)
class TrainedVoice:
    """What the trainer says of a voice that it has published."""

    id: str
    revision: str
    bundle: Path
    scores: dict[str, str]


def train(recordings: Recordings, registry: Path, watch: Stopwatch, *, sentence: str, epochs: int) -> TrainedVoice:
    """Train a voice on this machine; what is done already is not done again.

    No gates: who tries recordings wants to hear the result, good or bad; the scores are measured and shown.

    Args:
        recordings: what to train from.
        registry: the folder for the voice and for all that was made on the way.
        watch: notes the seconds of each stage that ran.
        sentence: spoken for the report, instead of the base's own sentences.
        epochs: passes over the recordings.

    Raises:
        DevError: the trainer refused the recordings or failed; its own sentence stands above.
    """
    options = {
        "out": registry,
        "namespace": NAMESPACE,
        "voice": recordings.name,
        "language": "en",
        "holder": recordings.holder,
        "statement": STATEMENT,
        "text": sentence,
        "epochs": epochs,
        "device": "cpu",
    }
    command = [sys.executable, "-m", "voice_trainer", "train", str(recordings.folder), "--no-gates", "--json"]
    command += [word for name, value in options.items() for word in (f"--{name}", str(value))]
    environment = {**os.environ, "PATH": path_with_ffmpeg(os.environ.get("PATH", os.defpath), registry / ".bin")}
    begun = watch.total()
    # A session of its own: Ctrl-C reaches this process alone, which then asks the trainer to keep a checkpoint.
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        said, _ = process.communicate()
    finally:
        stop(process, STOP_SECONDS)  # as kubelet does; the next run continues from the checkpoint
    if process.returncode:
        raise DevError(
            f"the trainer ended with {process.returncode}, and says why above",
            remedy="change what it names, or run the same command again to continue where it stopped",
        )
    result: dict[str, Any] = json.loads(said)
    for stage, seconds in result["seconds"].items():
        watch.note(stage, begun, seconds)
        begun += seconds
    return TrainedVoice(result["voice"], result["revision"], StoreUri.parse(result["uri"]).path, result["scores"])
