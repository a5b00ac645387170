"""Measures of a synthesized sentence; pure functions of its recognition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import jiwer
import numpy as np
from numpy.typing import NDArray

from sovits_core.synthesis.repetition import LOOP_TIMES, most_repeated

LOOP_PHONES = 5
"""A loop is also a run of so many recognised phones, repeated where the text has it once."""
MIN_DURATION_RATIO, MAX_DURATION_RATIO = 0.6, 1.6
"""Of the expected duration."""
TRAILING_SECONDS = 0.3
"""After the last word; the trainer leaves 0.15 s of silence there."""
TRAILING_DECIBELS = -30.0
"""Against the sentence's own level: above this it is noise, not silence."""


@dataclass(frozen=True)
class Errors:
    """Substitutions, deletions and insertions among so many words or phones."""

    wrong: int
    of: int

    @property
    def rate(self) -> float:
        """Errors per word or phone of the text; above 1 with many insertions."""
        return self.wrong / self.of


def errors(reference: Sequence[str], recognised: Sequence[str]) -> Errors:
    """Compare recognised words or phones with the text's, of which there is at least one."""
    found = jiwer.process_words(" ".join(reference), " ".join(recognised))
    return Errors(found.substitutions + found.deletions + found.insertions, len(reference))


def total(parts: Sequence[Errors]) -> float | None:
    """Return the rate over all parts together, or None without any."""
    return sum(part.wrong for part in parts) / sum(part.of for part in parts) if parts else None


def repeats(tokens: Sequence[int], recognised: Sequence[str], reference: Sequence[str]) -> bool:
    """Whether there is a loop: in tokens, or in phones beyond the text's own repetitions."""
    if most_repeated(tokens) >= LOOP_TIMES:
        return True
    return most_repeated(recognised, LOOP_PHONES) > max(1, most_repeated(reference, LOOP_PHONES))


def expected_seconds(flite_seconds: Sequence[float], speaker_voiced: float, flite_voiced: float) -> list[float]:
    """Return a speaker's expected seconds for sentences that take flite so many.

    Args:
        flite_seconds: for each sentence.
        speaker_voiced: seconds of voice activity in the speaker's recordings.
        flite_voiced: the same of flite's speech for the same texts.
    """
    return [seconds * speaker_voiced / flite_voiced for seconds in flite_seconds]


def trailing_level(wav: NDArray[np.float32], rate: int, speech_end: float) -> float | None:
    """Return the level in dB of the sound after the speech, relative to the speech; None where it is too short.

    Args:
        wav: (samples).
        rate: in Hz.
        speech_end: seconds at which the last word ends.
    """
    split = round(speech_end * rate)
    before, after = wav[:split], wav[split:]
    if len(after) < TRAILING_SECONDS * rate or not before.any():
        return None
    powers = [float(np.mean(np.square(part, dtype=np.float64))) for part in (before, after)]
    return float(10 * np.log10(max(powers[1], 1e-12) / powers[0]))
