"""Speech that tests of recordings share."""

import csv
from pathlib import Path

import pytest
import soundfile

from voice_trainer.recordings.audio import resample
from voice_trainer.recordings.decoding import Samples

RATE = 16_000


@pytest.fixture(scope="session")
def spoken(spoken_dataset: Path) -> dict[str, Samples]:
    """The sample sentences by flite, at 16 kHz, by the ids of the dataset."""
    with (spoken_dataset / "metadata.csv").open(encoding="utf-8", newline="") as lines:
        names = [row[0] for row in csv.reader(lines, delimiter="|", quoting=csv.QUOTE_NONE)]
    found = {}
    for name in names[:8]:
        samples, rate = soundfile.read(spoken_dataset / "wavs" / f"{name}.wav", dtype="float32")
        found[name] = resample(samples, rate, RATE)
    return found


@pytest.fixture(scope="session")
def recorded(shared: Path) -> dict[str, list[Samples]]:
    """Three clips of each of three readers, at 16 kHz."""
    folders = {
        "ljspeech": shared / "data/ljspeech",
        "2414": shared / "data/librispeech/2414",
        "367": shared / "data/librispeech/367",
    }
    found = {}
    for reader, folder in folders.items():
        clips = [soundfile.read(path, dtype="float32") for path in sorted((folder / "wavs").iterdir())[3:6]]
        found[reader] = [resample(samples, rate, RATE) for samples, rate in clips]
    return found
