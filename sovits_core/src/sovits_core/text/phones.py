"""The phones of a text that are sounds, and the ends of its words."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from sovits_core.errors import TextRejected
from sovits_core.text import phonemize

SILENCE = "SIL"
"""The name of silence among the sounds."""


def sound_indices(phones: Sequence[str]) -> list[int]:
    """Return the indices of the front end's phones that are sounds and not punctuation."""
    return [index for index, phone in enumerate(phones) if phone[0].isalpha()]


def sound_phones(phones: Sequence[str]) -> list[str]:
    """Return the sounds among the front end's phones, without stress or tone."""
    return [phones[index].rstrip("0123456789") for index in sound_indices(phones)]


def word_ends(text: str, language: str, phones: Sequence[str]) -> list[bool]:
    """Return for each sound of a text whether a word ends with it, so that a pause may follow.

    Where the words one by one have other phones than the whole text, any sound may be the last one.
    """
    lengths = [_sound_count(word, language) for word in text.split()]
    count = len(sound_indices(phones))
    if sum(lengths) != count:
        return [True] * count
    ends = set(accumulate(lengths))
    return [index + 1 in ends for index in range(count)]


def _sound_count(word: str, language: str) -> int:
    try:
        return len(sound_indices(phonemize(word, language).phones))
    except TextRejected:  # nothing but marks
        return 0
