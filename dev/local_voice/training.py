"""Runs the trainer's stages as a process of their own, as a Job's pod does, over a folder instead of a bucket."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from dev.errors import DevError
from dev.local_voice.ffmpeg import path_with_ffmpeg
from dev.local_voice.job import STAGES, LocalVoice
from dev.local_voice.progress import StageDisplay, stage_display
from dev.stopwatch import Stopwatch
from dev.terminal import stop, tail

POLL_SECONDS = 0.3
STOP_SECONDS = 30.0  # for the checkpoint of an interrupted training


def train(voice: LocalVoice, work: Path, watch: Stopwatch) -> None:
    """Bring every stage to its manifest; stages that are committed already are not run again.

    Args:
        voice: what to train.
        work: folder for the job document and the trainer's log.
        watch: notes the seconds of each stage.

    Raises:
        DevError: the trainer refused the recordings or failed; the sentence is its own.
    """
    job, log, failure = work / "job.json", work / "trainer.log", work / "failure.json"
    job.write_text(json.dumps(voice.document(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    failure.unlink(missing_ok=True)
    environment = {
        **os.environ,
        "PATH": path_with_ffmpeg(os.environ.get("PATH", os.defpath), work / "bin"),
        "VOICE_TERMINATION_LOG": str(failure),
    }
    command = [sys.executable, "-m", "voice_trainer", "run", "--job", str(job), "--stages", ",".join(STAGES)]
    with log.open("wb") as output, stage_display(STAGES) as display:
        # A session of its own: Ctrl-C reaches this process alone, which then asks the trainer to keep a checkpoint.
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _follow(process, voice, display, watch)
        finally:
            stop(process, STOP_SECONDS)  # as kubelet does; the next run continues from the checkpoint
    if process.returncode:
        raise _failure(process.returncode, failure, log)


def _follow(process: subprocess.Popen[bytes], voice: LocalVoice, display: StageDisplay, watch: Stopwatch) -> None:
    begun = watch.total()
    waiting = list(STAGES)
    while waiting:
        ended = process.poll() is not None  # asked first, so that the last manifest is seen after the end
        while waiting and voice.summary(waiting[0]) is not None:
            stage = waiting.pop(0)
            display.update(stage, 100)
            watch.note(stage, begun, watch.total() - begun)
            begun = watch.total()
        if ended:
            return
        if waiting:
            progress = _progress(voice.workspace() / waiting[0] / "progress.json")
            display.update(waiting[0], min(99, int(progress.get("percent", 0))), _note(progress))
            time.sleep(POLL_SECONDS)
    process.wait()


def _progress(path: Path) -> dict[str, Any]:
    """Return the stage's progress document, or nothing where it has written none, or is writing it now."""
    try:
        document: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return document


def _note(progress: dict[str, Any]) -> str:
    epoch, left = progress.get("epoch"), progress.get("etaSeconds")
    return ", ".join(part for part in (f"epoch {epoch}" if epoch else "", f"{left} s left" if left else "") if part)


def _failure(code: int, failure: Path, log: Path) -> DevError:
    try:
        document = json.loads(failure.read_bytes())
    except (OSError, ValueError):
        return DevError(f"the trainer ended with {code}; the end of {log}:\n{tail(log)}", remedy=f"read {log}")
    return DevError(f"{document['stage']}: {document['message']} [{document['reason']}]", remedy=f"see {log}")
