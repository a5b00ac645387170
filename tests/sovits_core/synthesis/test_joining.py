"""Versions of one wave are joined in phase, and give as many samples as the last of them has."""

from collections.abc import Callable

import numpy as np
import pytest

from sovits_core.errors import InvalidModelInput
from sovits_core.synthesis.joining import Joiner, Overlap, best_shift, cross_fade

HOP = 640
FRAMES = 100
TIMES = np.arange(FRAMES * HOP) / 32_000


def tone(shift: float = 0.0) -> np.ndarray:
    """A vowel's harmonics (samples), later by so many samples."""
    times = TIMES - shift / 32_000
    return sum(np.sin(2 * np.pi * 110 * number * times) / number for number in range(1, 6)).astype(np.float32) / 3


def joined(versions: list[np.ndarray]) -> np.ndarray:
    joiner = Joiner(HOP, Overlap())
    parts = []
    for number, wav in enumerate(versions):
        frames = len(wav) // HOP
        until = frames if number == len(versions) - 1 else joiner.ready(frames)
        parts.append(joiner.advance(wav, 0, until))
    return np.concatenate(parts)


def test_versions_that_agree_are_the_last_of_them() -> None:
    whole = tone()
    assert np.allclose(joined([whole[: 14 * HOP], whole[: 40 * HOP], whole]), whole, atol=1e-6)


def test_a_version_that_is_late_is_moved_into_phase() -> None:
    early, late = tone(), tone(shift=90)
    seamless = joined([early[: 40 * HOP], late])
    steps = np.abs(np.diff(seamless))
    assert len(seamless) == len(late)
    assert steps[28 * HOP : 36 * HOP].max() <= 1.01 * np.abs(np.diff(early)).max()


def test_nothing_comes_before_it_can_no_longer_change() -> None:
    joiner = Joiner(HOP, Overlap(lookahead=8))
    assert joiner.ready(8) == 0
    assert joiner.advance(tone()[: 8 * HOP], 0, 0).size == 0
    assert joiner.advance(tone()[: 20 * HOP], 0, joiner.ready(20)).size == 12 * HOP


def test_a_fade_of_a_signal_into_itself_changes_nothing() -> None:
    signal = np.random.default_rng(1).standard_normal(100).astype(np.float32)
    assert np.allclose(cross_fade(signal[:40], signal), signal)
    ones = cross_fade(np.zeros(50, dtype=np.float32), np.ones(60, dtype=np.float32))
    assert (np.diff(ones) >= 0).all()
    assert ones[0] < 0.01
    assert ones[50:].tolist() == [1.0] * 10


@pytest.mark.parametrize("shift", [-30, 0, 17])
def test_the_newer_signal_is_found_where_it_is_in_phase(shift: int) -> None:
    wave = (np.sin(np.arange(1000) * 0.05) * np.linspace(0.5, 1, 1000)).astype(np.float32)
    assert best_shift(wave[400 + shift : 500 + shift], wave, 400, 40) == shift


def test_silence_is_not_moved() -> None:
    noise = np.random.default_rng(1).standard_normal(400).astype(np.float32)
    assert best_shift(np.zeros(100, dtype=np.float32), noise, 150, 40) == 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Overlap(lookahead=1, cross_fade=2), "cross_fade=2 must be 1 to lookahead=1"),
        (lambda: Overlap(search=-1), "search=-1"),
    ],
)
def test_impossible_settings_are_refused_by_name(make: Callable[[], object], message: str) -> None:
    with pytest.raises(InvalidModelInput, match=message):
        make()
