"""How each character of a Mandarin word is read: by a phrase dictionary, or by a reader of polyphones in context."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache, lru_cache, partial
from importlib import resources
from typing import Any, NamedTuple, Protocol

from sovits_core.errors import MissingExtra

NEUTRAL = 5
_READING = re.compile(r"([a-zê]+)([1-5])")


class Reading(NamedTuple):
    """A syllable in pinyin without tone (ü written v), and its tone: 1 to 4, or 5 for the neutral one.

    The syllable of a character that no dictionary reads is empty.
    """

    syllable: str
    tone: int


class PolyphoneReader(Protocol):
    """Reads the characters of a clause in their context; for characters that have several readings.

    What it says goes before the dictionary's readings of single characters, and behind its phrases.
    """

    def read(self, clause: str) -> Sequence[Reading | None]:
        """Return a reading for each character, or None where the phrase dictionary shall decide."""


@lru_cache(maxsize=16384)
def read_word(word: str) -> tuple[Reading, ...]:
    """Return the readings of a word's characters from pypinyin's phrases; raise MissingExtra without the extra."""
    spelt = _pypinyin()(word)
    return tuple(parse(text) or Reading("", NEUTRAL) for text in spelt)


@cache
def _pypinyin() -> Callable[[str], list[str]]:
    try:
        from pypinyin import Style, lazy_pinyin, load_single_dict  # noqa: PLC0415 -- an extra; 0.3 s to load
    except ModuleNotFoundError as error:
        raise MissingExtra("Mandarin", "zh") from error
    text = (resources.files("sovits_core.text.chinese") / "usual_readings.txt").read_text(encoding="utf-8")
    usual = [word for line in text.splitlines() if not line.startswith("#") for word in line.split()]
    load_single_dict({ord(word[0]): word[1:] for word in usual})
    return partial(lazy_pinyin, style=Style.TONE3, neutral_tone_with_five=True, errors=_each_alone)


@lru_cache(maxsize=16384)
def is_phrase(word: str) -> bool:
    """Say whether pypinyin knows how the word is read as a whole; raise MissingExtra without the extra."""
    try:
        from pypinyin.constants import PHRASES_DICT  # noqa: PLC0415 -- as above
    except ModuleNotFoundError as error:
        raise MissingExtra("Mandarin", "zh") from error
    return len(word) > 1 and word in PHRASES_DICT


def _each_alone(unread: str) -> Any:
    # pypinyin's types name a string, its documentation a list too, which keeps one reading per character.
    return list(unread)


def parse(spelt: str) -> Reading | None:
    """Return the reading of a syllable with its tone as a digit ("lv4"), None for anything else."""
    match = _READING.fullmatch(spelt)
    return Reading(match[1], int(match[2])) if match else None
