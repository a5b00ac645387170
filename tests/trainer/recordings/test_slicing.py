"""Long recordings are cut at silences into clips of 3 to 10 s."""

from itertools import pairwise

import numpy as np
import pytest

from voice_trainer.recordings.slicing import LONGEST_SECONDS, WANTED_SECONDS, slices
from voice_trainer.recordings.vad import FRAME_SECONDS


def voiced(*parts: tuple[float, bool]) -> np.ndarray:
    """Frames of stretches of some seconds, with or without a voice."""
    return np.concatenate([np.full(round(seconds / FRAME_SECONDS), speech) for seconds, speech in parts])


def test_silence_has_no_clips() -> None:
    assert slices(voiced((5.0, False))) == ()
    assert slices(np.zeros(0, dtype=np.bool_)) == ()


def test_a_short_sentence_joins_its_neighbour_and_a_long_pause_is_left_out() -> None:
    found = slices(
        voiced((1.0, False), (2.1, True), (0.6, False), (2.1, True), (3.0, False), (6.0, True), (1.0, False))
    )
    assert [(round(span.begin, 2), round(span.end, 2)) for span in found] == [(0.84, 5.94), (8.64, 14.94)]


@pytest.mark.parametrize("seed", range(5))
def test_clips_of_ordinary_speech_have_the_wanted_length(seed: int) -> None:
    """Phrases of 0.5 to 4 s with pauses of 0.15 to 1 s between them, five minutes long."""
    rng = np.random.default_rng(seed)
    parts = [part for _ in range(110) for part in ((rng.uniform(0.5, 4), True), (rng.uniform(0.15, 1), False))]
    frames = voiced((0.5, False), *parts)
    found = slices(frames)
    seconds = np.array([span.seconds for span in found])
    assert ((seconds >= WANTED_SECONDS[0]) & (seconds <= WANTED_SECONDS[1] + 0.3)).mean() > 0.95
    assert all(one.end <= two.begin for one, two in pairwise(found))
    inside = sum(
        frames[int(span.begin / FRAME_SECONDS) : int(np.ceil(span.end / FRAME_SECONDS))].sum() for span in found
    )
    assert inside == frames.sum(), "no speech is lost"
    for span in found:
        assert not frames[int(span.begin / FRAME_SECONDS)], "a clip begins in a pause"


def test_who_never_pauses_is_cut_at_the_shortest_pauses_there_are() -> None:
    frames = voiced(*[part for _ in range(20) for part in ((4.5, True), (0.12, False))])
    assert all(span.seconds <= WANTED_SECONDS[1] for span in slices(frames))
    (whole,) = slices(voiced((40.0, True)))
    assert whole.seconds > LONGEST_SECONDS, "prepare refuses it as too long"


def test_clicks_are_no_speech() -> None:
    assert slices(voiced((1.0, False), (0.06, True), (1.0, False))) == ()
