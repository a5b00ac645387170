"""DNSMOS: the level does not matter, short clips are repeated, noise is rated worse."""

from dataclasses import astuple

import numpy as np
import pytest

from voice_trainer.recordings.decoding import Samples
from voice_trainer.recordings.dnsmos import Rater


@pytest.fixture(scope="module")
def rater() -> Rater:
    return Rater()


def test_the_level_does_not_matter(rater: Rater, recorded: dict[str, list[Samples]]) -> None:
    clip = recorded["ljspeech"][0]
    assert astuple(rater.rate(clip)) == pytest.approx(astuple(rater.rate(0.1 * clip)), abs=0.01)


def test_noise_is_rated_worse_than_the_recording(rater: Rater, recorded: dict[str, list[Samples]]) -> None:
    clip = recorded["ljspeech"][0]
    noise = np.random.default_rng(0).standard_normal(len(clip)).astype(np.float32) * clip.std()
    good, bad = rater.rate(clip), rater.rate(clip + noise)
    assert 3.0 < good.overall < 5.0
    assert bad.overall < good.overall - 1.0
    assert bad.background < good.background - 1.5


def test_clips_of_any_length_are_rated(rater: Rater, recorded: dict[str, list[Samples]]) -> None:
    clip = recorded["ljspeech"][0]
    long = np.tile(clip, 1 + 20 * 16_000 // len(clip))
    for samples in (clip[:9_600], clip, long):
        assert 1.0 <= rater.rate(samples).overall <= 5.0
