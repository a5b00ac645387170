"""The least that a dataset and an evaluation must have, as parameters of a run: a job document cannot lower them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Minimums of stage prepare, and how much stage evaluate speaks; the defaults are what users need."""

    min_speech_seconds: float = 60.0
    """Of effective speech; below it an adapter learns the recordings, not the voice."""
    min_clips: int = 6
    """Three to hold out, and three to learn from."""
    sentences: int = 14
    """That evaluate speaks at first, besides those that a job names."""
    more_sentences: int = 14
    """That it speaks each time a gate is inconclusive."""
    most_sentences: int = 42
