"""Which of a text's phones are sounds, and where its words end."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from sovits_core.errors import TextRejected
from sovits_core.text import phonemize

SILENCE = "SIL"
"""Stands beside the sounds where nothing is said."""


def spoken_places(phones: Sequence[str]) -> list[int]:
    """Return where the front end's phones are sounds and not punctuation."""
    return [place for place, phone in enumerate(phones) if phone[0].isalpha()]


def spoken_phones(phones: Sequence[str]) -> list[str]:
    """Return the sounds among the front end's phones, without stress or tone."""
    return [phones[place].rstrip("0123456789") for place in spoken_places(phones)]


def word_ends(text: str, language: str, phones: Sequence[str]) -> list[bool]:
    """Return for each spoken phone of a text whether a word ends with it, so that a pause may follow.

    Where words that are read alone have other phones than in their text, any phone may be the last one.
    """
    lengths = [_spoken_length(word, language) for word in text.split()]
    count = len(spoken_places(phones))
    if sum(lengths) != count:
        return [True] * count
    ends = set(accumulate(lengths))
    return [index + 1 in ends for index in range(count)]


def _spoken_length(word: str, language: str) -> int:
    try:
        return len(spoken_places(phonemize(word, language).phones))
    except TextRejected:  # nothing but marks
        return 0
