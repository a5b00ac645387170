"""`python -m dev.watermark_bench SPOKEN RECORDINGS`: how surely the watermark is found, as markdown.

Both are folders of audio files, the first of synthetic speech without a mark. Each of its files is marked as a server
marks a sentence; then marked and plain ones and the recordings go through what files go through.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dev.errors import DevError
from dev.paths import REPOSITORY
from dev.terminal import main_of
from voice_inference.engine.watermark import MARKED, RATE, Watermark

SUFFIXES = {".wav", ".flac", ".mp3", ".ogg", ".opus"}
WAYS: Mapping[str, tuple[list[str], str]] = {  # arguments of ffmpeg, and how the file ends
    "as it is": ([], "wav"),
    "mp3 at 64 kbit/s": (["-b:a", "64k"], "mp3"),
    "Opus at 24 kbit/s": (["-c:a", "libopus", "-b:a", "24k"], "ogg"),
    "resampled to 22.05 kHz": (["-ar", "22050"], "wav"),
    "resampled to 8 kHz": (["-ar", "8000"], "wav"),
    "cut: one second of the middle": ([], "wav"),
    "1.15 times as fast": (["-af", "atempo=1.15"], "wav"),
    "noise 20 dB below": ([], "wav"),
}


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m dev.watermark_bench", description=__doc__)
    parser.add_argument("spoken", type=Path)
    parser.add_argument("recordings", type=Path)
    parser.add_argument("--networks", type=Path, default=REPOSITORY / "out" / "watermark")
    parser.add_argument("--most", type=int, default=20, help="files of each folder")
    options = parser.parse_args()
    watermark = Watermark(options.networks)
    plain = [_read(path) for path in _files(options.spoken, options.most)]
    kinds = {
        "marked": [watermark.mark(one, RATE) for one in plain],
        "not marked": plain,
        "recordings": [_read(path) for path in _files(options.recordings, options.most)],
    }
    print(f"| | {' | '.join(f'{name} ({len(files)})' for name, files in kinds.items())} |")
    print(f"|{' --- |' * (len(kinds) + 1)}")
    for way in WAYS:
        cells = [_cell([watermark.score(_after(one, way)) for one in files]) for files in kinds.values()]
        print(f"| {way} | {' | '.join(cells)} |", flush=True)
    return 0


def _files(folder: Path, most: int) -> list[Path]:
    """Return files of the folder, evenly from its whole list."""
    found = sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES)
    if len(found) < most:
        raise DevError(f"{folder} has {len(found)} audio files, {most} are needed", remedy="--most")
    return [found[index * len(found) // most] for index in range(most)]


def _cell(scores: Iterable[float]) -> str:
    ordered = sorted(scores)
    found = sum(score > MARKED for score in ordered)
    return f"{found} found, scores {ordered[0]:.2f} to {ordered[-1]:.2f}"


def _after(samples: np.ndarray[Any, Any], way: str) -> np.ndarray[Any, Any]:
    """Return float32 (samples,) at RATE after a file of them has gone that way."""
    if way.startswith("cut"):
        middle = samples.size // 2
        samples = samples[max(0, middle - RATE // 2) : middle + RATE // 2]
    if way.startswith("noise"):
        level = np.sqrt(np.mean(samples**2)) / 10
        samples = samples + np.random.default_rng(1).normal(0, level, samples.size).astype(np.float32)
    arguments, suffix = WAYS[way]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"coded.{suffix}"
        command = ["ffmpeg", "-loglevel", "error", "-f", "f32le", "-ar", str(RATE), "-ac", "1", "-i", "-"]
        subprocess.run([*command, *arguments, str(path)], input=samples.astype("<f4").tobytes(), check=True)
        return _read(path)


def _read(path: Path) -> np.ndarray[Any, Any]:
    command = ["ffmpeg", "-loglevel", "error", "-i", str(path), "-ar", str(RATE), "-ac", "1", "-f", "f32le", "-"]
    return np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout, "<f4")


if __name__ == "__main__":
    sys.exit(main_of(main))
