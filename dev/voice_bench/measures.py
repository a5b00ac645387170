"""What is counted in a spoken sentence; pure functions of what was heard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import jiwer
import numpy as np
from numpy.typing import NDArray

LOOP_TOKENS = 4
"""A loop is known by runs of so many semantic tokens (0.16 s) that come again and again."""
LOOP_TIMES = 4
"""People never do that: the same run came at most three times in each of the readers' recordings."""
LOOP_PHONES = 5
"""Or by so many phones heard twice where the text has them once."""
SHORTEST, LONGEST = 0.6, 1.6
"""Of the expected duration."""
TAIL_SECONDS = 0.3
"""After the last phone; the trainer leaves 0.15 s of silence there."""
TAIL_DECIBELS = -30.0
"""Against the sentence's own level: louder than this is noise, not silence."""


@dataclass(frozen=True)
class Errors:
    """Substitutions, deletions and insertions among so many words or phones."""

    wrong: int
    of: int

    @property
    def rate(self) -> float:
        """Errors per word or phone of the text; above 1 where more is heard than was to be said."""
        return self.wrong / self.of


def errors(wanted: Sequence[str], heard: Sequence[str]) -> Errors:
    """Compare what was to be said (at least one word or phone) with what was heard."""
    found = jiwer.process_words(" ".join(wanted), " ".join(heard))
    return Errors(found.substitutions + found.deletions + found.insertions, len(wanted))


def total(parts: Sequence[Errors]) -> float | None:
    """Return the rate over all parts together, or None without any."""
    return sum(part.wrong for part in parts) / sum(part.of for part in parts) if parts else None


def most_repeated(items: Sequence[object], length: int) -> int:
    """Return how often the most frequent run of a length comes; one held item (silence, a vowel) is no run."""
    runs = Counter(tuple(items[start : start + length]) for start in range(len(items) - length + 1))
    return max((times for run, times in runs.items() if len(set(run)) > 1), default=0)


def repeats(codes: Sequence[int], heard: Sequence[str], wanted: Sequence[str]) -> bool:
    """Whether the speaker went round in circles: in tokens, or in phones beyond those that the text itself repeats."""
    if most_repeated(codes, LOOP_TOKENS) >= LOOP_TIMES:
        return True
    return most_repeated(heard, LOOP_PHONES) > max(1, most_repeated(wanted, LOOP_PHONES))


def expected_seconds(flite_seconds: Sequence[float], reader_voice: float, flite_voice: float) -> list[float]:
    """Return how long a reader takes for sentences that flite speaks in so many seconds.

    Args:
        flite_seconds: for each sentence.
        reader_voice: seconds with a voice in them, in the reader's recordings.
        flite_voice: the same when flite reads the same texts.
    """
    return [seconds * reader_voice / flite_voice for seconds in flite_seconds]


def tail_level(wav: NDArray[np.float32], rate: int, speech_end: float) -> float | None:
    """Return the level in dB of what follows the speech, against the level up to there; None where too little follows.

    Args:
        wav: (samples).
        rate: in Hz.
        speech_end: seconds at which the last phone ends.
    """
    cut = round(speech_end * rate)
    before, after = wav[:cut], wav[cut:]
    if len(after) < TAIL_SECONDS * rate or not before.any():
        return None
    powers = [float(np.mean(np.square(part, dtype=np.float64))) for part in (before, after)]
    return float(10 * np.log10(max(powers[1], 1e-12) / powers[0]))
