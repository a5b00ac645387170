"""Samples become bytes without wrapping or clicking."""

import numpy as np
import pytest

from voice_inference.engine.audio import PEAK, limit_peak, to_pcm
from voice_inference.errors import SynthesisFailed


def samples(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)


def test_samples_beyond_full_scale_are_clipped_and_never_wrap() -> None:
    assert np.frombuffer(to_pcm(samples(1.5, -1.5, 1.0, -1.0)), "<i2").tolist() == [32767, -32767, 32767, -32767]


def test_a_sentence_that_is_too_loud_becomes_quieter_as_a_whole() -> None:
    limited = limit_peak(samples(2.0, -1.0, 0.5))
    assert limited == pytest.approx([PEAK, -PEAK / 2, PEAK / 4])


def test_a_sentence_below_the_peak_is_left_alone() -> None:
    quiet = samples(0.1, -0.2)
    assert limit_peak(quiet) is quiet


@pytest.mark.parametrize("broken", [(np.nan, 0.0), (np.inf, 0.0), ()])
def test_what_is_no_sound_is_an_error(broken: tuple[float, ...]) -> None:
    with pytest.raises(SynthesisFailed):
        limit_peak(samples(*broken))
