"""Loops in what S1 says: a run of semantic tokens that comes again and again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

LOOP_TOKENS: Final = 4
"""A run of so many tokens (0.16 s) is a loop,"""
LOOP_TIMES: Final = 4
"""where it occurs so often; in recordings of seven speakers none occurs more than three times."""


def most_repeated(items: Sequence[object], length: int = LOOP_TOKENS) -> int:
    """Return how often the most frequent run of a length occurs; one repeated item (silence, a vowel) is no run."""
    runs = Counter(tuple(items[start : start + length]) for start in range(len(items) - length + 1))
    return max((times for run, times in runs.items() if len(set(run)) > 1), default=0)
