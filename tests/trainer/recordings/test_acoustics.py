"""What samples tell: each fault is seen in clips that have it, and in none of those that have none."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import signal

from voice_trainer.recordings import acoustics
from voice_trainer.recordings.audio import resample
from voice_trainer.recordings.decoding import Samples
from voice_trainer.recordings.measures import BANDWIDTH, CLIPPED, HUM, MUSIC, REVERBERATION, Measure

RATE = 16_000


def overdriven(samples: Samples) -> Samples:
    return np.clip(100 * samples / np.abs(samples).max(), -1, 1)


def telephone(samples: Samples) -> Samples:
    return resample(resample(samples, RATE, 8000), 8000, 48_000)


def humming(samples: Samples) -> Samples:
    times = np.arange(len(samples)) / RATE
    level = 0.1 * float(np.sqrt(np.mean(samples**2)))
    return samples + np.float32(level) * sum(np.sin(2 * np.pi * 50 * k * times) for k in (1, 2, 3)).astype(np.float32)


def ringing(samples: Samples) -> Samples:
    rng = np.random.default_rng(0)
    count = int(0.6 * RATE)
    response = rng.standard_normal(count) * 10 ** (-3 * np.arange(count) / count)
    response *= 0.5 / np.sqrt(np.sum(response**2))
    response[0] = 1
    return signal.fftconvolve(samples, response)[: len(samples)].astype(np.float32)


def clipped_percent(samples: Samples, _: int) -> float:
    return 100 * acoustics.clipped_share(samples)


def hum(samples: Samples, rate: int) -> float:
    return acoustics.hum(samples, rate, float(np.mean(samples**2)))


def decay(samples: Samples, rate: int) -> float:
    found = acoustics.decay_seconds(samples, rate)
    assert found is not None
    return found


def tones(samples: Samples, rate: int) -> float:
    found = acoustics.steady_tones(samples, rate)
    assert found is not None
    return found


def with_chords(samples: Samples) -> Samples:
    """The clip with chords of half a second each, 10 dB below it."""
    times = np.arange(len(samples)) / RATE
    root = 220 * 2 ** (np.floor(2 * times) % 5 / 12)
    phase = 2 * np.pi * np.cumsum(root) / RATE
    music = sum(np.sin(k * interval * phase) / k for interval in (1, 1.25, 1.5) for k in range(1, 8))
    return samples + (music * 10**-0.5 * np.sqrt(np.mean(samples**2) / np.mean(music**2))).astype(np.float32)


@pytest.mark.parametrize(
    ("measure", "value", "spoil", "rate"),
    [
        pytest.param(CLIPPED, clipped_percent, overdriven, RATE, id="clipping"),
        pytest.param(BANDWIDTH, acoustics.bandwidth, telephone, 48_000, id="telephone"),
        pytest.param(HUM, hum, humming, RATE, id="hum"),
        pytest.param(MUSIC, tones, with_chords, RATE, id="music"),
        pytest.param(REVERBERATION, decay, ringing, RATE, id="reverberation"),
    ],
)
def test_a_fault_is_seen_where_it_is(
    recorded: dict[str, list[Samples]],
    measure: Measure,
    value: Callable[[Samples, int], float],
    spoil: Callable[[Samples], Samples],
    rate: int,
) -> None:
    for clip in recorded["ljspeech"]:
        assert measure.severity(value(clip, RATE)) is None
        assert measure.severity(value(spoil(clip), rate)) is not None


def test_a_room_that_rings_is_no_music(recorded: dict[str, list[Samples]]) -> None:
    assert [MUSIC.severity(tones(ringing(clip), RATE)) for clip in recorded["ljspeech"]] == [None] * 3


def test_the_measures_of_nothing_are_defined() -> None:
    silence, short = np.zeros(RATE, dtype=np.float32), np.ones(100, dtype=np.float32)
    for samples in (silence, short):
        assert acoustics.clipped_share(samples) in {0.0, 1.0}
        assert acoustics.hum(samples, RATE, 0.0) == acoustics.NOTHING_DB
        assert acoustics.decay_seconds(samples, RATE) is None
        assert acoustics.steady_tones(samples, RATE) is None
        assert 0 <= acoustics.bandwidth(samples, RATE) <= RATE / 2


def test_silence_has_no_tones_and_chords_have_nothing_else() -> None:
    assert acoustics.steady_tones(np.zeros(4 * RATE, dtype=np.float32), RATE) == 0.0
    chord = with_chords(np.full(4 * RATE, 1e-3, dtype=np.float32))
    assert tones(chord, RATE) > 0.5
