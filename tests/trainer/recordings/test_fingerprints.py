"""Fingerprints: the same sound is found whatever its level, its format and the silence around it; others are not."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from voice_trainer.recordings import measures
from voice_trainer.recordings.audio import resample
from voice_trainer.recordings.decoding import Samples
from voice_trainer.recordings.fingerprints import RATE, fingerprint, same_sounds


@pytest.fixture
def clips(spoken: dict[str, Samples]) -> list[Samples]:
    return list(spoken.values())


def pairs(*sounds: Samples) -> dict[tuple[int, int], float]:
    agreement = measures.SAME_SOUND.warn
    assert agreement is not None
    return {(one, other): share for one, other, share in same_sounds([fingerprint(x) for x in sounds], agreement)}


def through_mp3(samples: Samples, folder: Path) -> Samples:
    soundfile.write(folder / "clip.wav", samples, RATE)
    command = ["ffmpeg", "-loglevel", "error", "-y", "-i", "clip.wav", "-b:a", "32k", "clip.mp3"]
    subprocess.run(command, cwd=folder, check=True)
    decoded, rate = soundfile.read(folder / "clip.mp3", dtype="float32")
    return resample(decoded, rate, RATE)


def test_a_copy_is_found_whatever_was_done_to_it(clips: list[Samples], tmp_path: Path) -> None:
    original = clips[0]
    copies = [
        0.2 * original,
        np.concatenate([np.zeros(5_000, dtype=np.float32), original, np.zeros(3_210, dtype=np.float32)]),
        original[4_000:-6_000],
        through_mp3(original, tmp_path),
    ]
    found = pairs(original, *copies)
    assert {other for one, other in found if one == 0} == {1, 2, 3, 4}


def test_other_sentences_of_the_same_voice_are_other_sounds(clips: list[Samples]) -> None:
    assert pairs(*clips) == {}


def test_clips_that_are_too_short_are_like_nothing() -> None:
    short = np.ones(1000, dtype=np.float32)
    assert pairs(short, short) == {}
