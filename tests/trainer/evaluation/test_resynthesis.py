"""The prompt: chosen among clean training clips of a fitting length."""

from pathlib import Path

import torch

from voice_trainer.evaluation.resynthesis import prompt_candidates
from voice_trainer.evaluation.voice import FeaturedClip
from voice_trainer.recordings.clips import Clip
from voice_trainer.training.clip_features import ClipFeatures

FEATURES = ClipFeatures(torch.tensor([1]), None, torch.tensor([1]), torch.rand(2))


def a_clip(name: str, *, seconds: float = 5.0, snr_db: float = 40.0, held_out: bool = False) -> FeaturedClip:
    clip = Clip(
        id=name, text="x", phones=("x",), seconds=seconds, speech_seconds=seconds, snr_db=snr_db, rms_dbfs=-16.0,
        held_out=held_out,
    )  # fmt: skip
    return FeaturedClip(clip, FEATURES, Path())


def names(clips: list[FeaturedClip]) -> list[str]:
    return [clip.clip.id for clip in prompt_candidates(clips)]


def test_candidates_are_the_cleanest_six_training_clips_of_3_to_10_s() -> None:
    clips = [a_clip(f"c{n}", snr_db=30.0 + n) for n in range(8)]
    others = [a_clip("short", seconds=2.9, snr_db=80), a_clip("long", seconds=10.1, snr_db=80)]
    held_out = a_clip("held-out", snr_db=80, held_out=True)
    assert names([*clips, *others, held_out]) == ["c7", "c6", "c5", "c4", "c3", "c2"]


def test_without_a_fitting_length_the_nearest_lengths_are_the_candidates() -> None:
    clips = [a_clip(f"c{n}", seconds=10.5 + n, snr_db=30.0 + n) for n in range(8)]
    assert names(clips) == ["c5", "c4", "c3", "c2", "c1", "c0"]
    assert names([a_clip("tiny", seconds=1.0), a_clip("held-out", held_out=True)]) == ["tiny"]
