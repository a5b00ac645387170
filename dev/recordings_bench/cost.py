"""What stage prepare costs by minutes of audio: seconds, and the peak memory of all its processes together."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import soundfile

from dev.errors import DevError
from dev.recordings_bench.speech import RATE, Utterance

SAMPLE_SECONDS: Final = 0.25  # between two looks at the memory
MIB: Final = 1024


def cost_rows(clips: Sequence[Utterance], minutes: Sequence[float], work: Path) -> list[dict[str, Any]]:
    """Prepare sets of so many minutes; the clips come again with another level, so that none is known already."""
    rows = []
    for size in minutes:
        folder = work / f"{size:g}"
        count, seconds = _write_dataset(folder / "dataset", clips, 60 * size)
        started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        peak = _prepare(folder)
        took, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
        processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        rows.append(
            {
                "minutes": round(seconds / 60, 2),
                "clips": count,
                "seconds": round(took, 1),
                "processorSeconds": round(processor, 1),
                "peakMiB": round(peak),
            }
        )
    return rows


def _write_dataset(folder: Path, clips: Sequence[Utterance], wanted: float) -> tuple[int, float]:
    (folder / "wavs").mkdir(parents=True)
    lines, seconds, number = [], 0.0, 0
    while seconds < wanted:
        clip = clips[number % len(clips)]
        name = f"{clip.id}-{number}"
        soundfile.write(folder / "wavs" / f"{name}.flac", clip.samples * (1.0 - 0.01 * (number // len(clips))), RATE)
        lines.append(f"{name}|{clip.text}")
        seconds += len(clip.samples) / RATE
        number += 1
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return number, seconds


def _prepare(folder: Path) -> float:
    """Run the stage apart; return the peak of the memory of its processes in MiB, shared pages counted once."""
    digest = hashlib.sha256(str(folder).encode()).hexdigest()
    job = {
        "schema": "voice.sovits.dev/job/v1",
        "voice": {"namespace": "bench", "name": "reader"},
        "revision": "reader-1",
        "inputHash": digest,
        "language": "en",
        "dataset": {"uri": (folder / "dataset").as_uri(), "maxRejected": 100},
        "consent": {"holder": "a reader", "statement": "public recordings"},
        "base": {"name": "tiny", "uri": "embedded:tiny"},
        "store": {"workspace": (folder / "store").as_uri(), "revision": (folder / "revision").as_uri()},
        "compute": {"device": "cpu"},
    }
    (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
    command = [sys.executable, "-m", "voice_trainer", "run", "--job", str(folder / "job.json"), "--stages", "prepare"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env=os.environ | {"VOICE_SCRATCH": str(folder / "scratch")}
        )
        peak = 0.0
        while process.poll() is None:
            peak = max(peak, sum(map(_memory, _tree(process.pid))))
            time.sleep(SAMPLE_SECONDS)
    if process.returncode:
        raise DevError(f"prepare ended with {process.returncode}", remedy=f"read {folder / 'log'}")
    return peak


def _tree(pid: int) -> Iterator[int]:
    yield pid
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
        threads = Path(f"/proc/{pid}/task").iterdir()
        others = [thread / "children" for thread in threads if thread.name != str(pid)]
        children += [child for path in others for child in path.read_text(encoding="ascii").split()]
    except OSError:
        return
    for child in children:
        yield from _tree(int(child))


def _memory(pid: int) -> float:
    """Return the proportional set size in MiB; of a process that has ended, nothing."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / MIB


def fit(rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Return processor seconds for a minute of audio and for none, by least squares."""
    if len(rows) < 2:
        return {}
    slope, offset = np.polyfit([row["minutes"] for row in rows], [row["processorSeconds"] for row in rows], 1)
    return {"processorSecondsPerMinute": round(float(slope), 2), "processorSecondsForNone": round(float(offset), 2)}
