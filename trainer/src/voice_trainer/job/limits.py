"""The least that a dataset must have, as parameters of a run: a job document cannot lower them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Minimums of stage prepare; the defaults are what users need."""

    min_speech_seconds: float = 60.0
    """Of effective speech; below it an adapter learns the recordings, not the voice."""
    min_clips: int = 6
    """Three to hold out, and three to learn from."""
