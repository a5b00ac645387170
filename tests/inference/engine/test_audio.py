"""Samples become bytes without wrapping or clicking."""

import numpy as np
import pytest

from voice_inference.engine.audio import PEAK, limit_peak, to_pcm
from voice_inference.errors import SynthesisFailed


def samples(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)


def test_samples_beyond_full_scale_are_clipped_and_never_wrap() -> None:
    assert np.frombuffer(to_pcm(samples(1.5, -1.5, 1.0, -1.0)), "<i2").tolist() == [32767, -32767, 32767, -32767]


def test_only_what_is_beyond_the_peak_becomes_quieter() -> None:
    assert limit_peak(samples(1.0, -1.0, 0.5, -0.2)) == pytest.approx([PEAK, -PEAK, 0.5, -0.2])


@pytest.mark.parametrize("broken", [(np.nan, 0.0), (np.inf, 0.0), ()])
def test_what_is_no_sound_is_an_error(broken: tuple[float, ...]) -> None:
    with pytest.raises(SynthesisFailed):
        limit_peak(samples(*broken))
