"""Where a long recording is cut into clips: at silences, so that clips have 3 to 10 s. Nothing is opened here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from voice_trainer.recordings.vad import FRAME_SECONDS, MARGIN_SECONDS

WANTED_SECONDS: Final = (3.0, 10.0)  # of a clip
LONGEST_SECONDS: Final = 30.0  # where nobody pauses
PAUSE_SECONDS: Final = 0.11  # the closure of a stop is shorter; four frames are 0.12
GOOD_PAUSE: Final = 0.4  # seconds; most sentences end with more
SHORTEST_SPEECH: Final = 0.15  # seconds of voice between two pauses; less is a click
# The price of a clip: per second below and above what is wanted, and per second that a pause lacks.
TOO_SHORT, TOO_LONG, SHORT_PAUSE = 1.0, 2.0, 4.0


@dataclass(frozen=True)
class Span:
    """A part of a recording, in seconds."""

    begin: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.end - self.begin


def slices(voiced: NDArray[np.bool_]) -> tuple[Span, ...]:
    """Cut at the pauses that make the cheapest clips; silence beyond a margin is left out.

    Args:
        voiced: (frames of 30 ms) whether there is a voice.
    """
    utterances = _utterances(voiced)
    if not utterances:
        return ()
    # cheapest[n]: the price of the first n utterances, and where their last clip begins
    cheapest: list[tuple[float, int]] = [(0.0, 0)]
    for stop in range(1, len(utterances) + 1):
        pause = utterances[stop].begin - utterances[stop - 1].end if stop < len(utterances) else GOOD_PAUSE
        best = (float("inf"), stop - 1)
        for start in range(stop - 1, -1, -1):
            seconds = utterances[stop - 1].end - utterances[start].begin
            if seconds > LONGEST_SECONDS and start < stop - 1:
                break
            price = cheapest[start][0] + _price(seconds, pause)
            best = min(best, (price, start))
        cheapest.append(best)
    found: list[Span] = []
    stop = len(utterances)
    while stop:
        start = cheapest[stop][1]
        found.append(Span(utterances[start].begin, utterances[stop - 1].end))
        stop = start
    return _with_margins(found[::-1], len(voiced) * FRAME_SECONDS)


def _price(seconds: float, pause: float) -> float:
    least, most = WANTED_SECONDS
    length = TOO_SHORT * max(0.0, least - seconds) + TOO_LONG * max(0.0, seconds - most)
    return length + SHORT_PAUSE * max(0.0, GOOD_PAUSE - pause) + 0.1  # fewer clips where all else is equal


def _utterances(voiced: NDArray[np.bool_]) -> list[Span]:
    """Return the stretches of voice with a pause on both sides."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], voiced, [False]]).astype(np.int8)))
    runs = [Span(begin * FRAME_SECONDS, end * FRAME_SECONDS) for begin, end in edges.reshape(-1, 2).tolist()]
    joined: list[Span] = []
    for run in runs:
        if joined and run.begin - joined[-1].end < PAUSE_SECONDS:
            joined[-1] = Span(joined[-1].begin, run.end)
        else:
            joined.append(run)
    return [run for run in joined if run.seconds >= SHORTEST_SPEECH]


def _with_margins(spans: list[Span], seconds: float) -> tuple[Span, ...]:
    """Widen each by the margin, or to the middle of the pause between two."""
    wide = []
    for number, span in enumerate(spans):
        before = (spans[number - 1].end + span.begin) / 2 if number else 0.0
        after = (span.end + spans[number + 1].begin) / 2 if number + 1 < len(spans) else seconds
        wide.append(Span(max(before, span.begin - MARGIN_SECONDS), min(after, span.end + MARGIN_SECONDS)))
    return tuple(wide)
