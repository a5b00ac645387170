"""English sounds as the pretraining labels them: classes without stress, silence first."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from sovits_core.errors import TextRejected
from sovits_core.text import phonemize

SILENCE = "SIL"
CLASSES = (
    SILENCE, "AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY", "F", "G", "HH", "IH", "IY",
    "JH", "K", "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH", "T", "TH", "UH", "UW", "V", "W", "Y", "Z", "ZH",
)  # fmt: skip
VOICELESS = frozenset({SILENCE, "CH", "F", "HH", "K", "P", "S", "SH", "T", "TH"})


def spoken_phones(phones: Sequence[str]) -> list[str]:
    """Return the classes of the front end's phones; punctuation is left out."""
    return [phones[place].rstrip("012") for place in spoken_places(phones)]


def spoken_places(phones: Sequence[str]) -> list[int]:
    """Return where the front end's phones are sounds and not punctuation."""
    return [place for place, phone in enumerate(phones) if phone[0].isalpha()]


def word_ends(text: str, phones: Sequence[str]) -> list[bool]:
    """Return for each spoken phone of a text whether a word ends with it, so that a pause may follow.

    Where words that are read alone have other phones than in their text, any phone may be the last one.
    """
    lengths = [_spoken_length(word) for word in text.split()]
    count = len(spoken_phones(phones))
    if sum(lengths) != count:
        return [True] * count
    ends = set(accumulate(lengths))
    return [index + 1 in ends for index in range(count)]


def _spoken_length(word: str) -> int:
    try:
        return len(spoken_phones(phonemize(word, "en").phones))
    except TextRejected:  # nothing but marks
        return 0
