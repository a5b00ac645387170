"""How far a text is from another one: word and character error rates, by what is said and not by how it is written."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sovits_core.errors import SovitsError
from sovits_core.text import phonemize

READINGS: Final = ("ja", "yue", "zh")
"""Languages in which one sound is written in several ways: texts are compared by their readings, phone by phone."""


@dataclass(frozen=True)
class Errors:
    """Substitutions, deletions and insertions, among so many words and characters of the text."""

    wrong_words: int
    words: int
    wrong_characters: int
    characters: int

    @property
    def character_rate(self) -> float:
        """Wrong characters of all; 0 where the text has none."""
        return self.wrong_characters / self.characters if self.characters else 0.0


def compare_texts(text: str, recognised: str, language: str, *, locale: str = "") -> Errors:
    """Compare what was recognised with the text, numbers spelt out, without case and punctuation.

    `locale` says how the text writes dates and numbers; a recogniser has its own way. Characters are counted without
    spaces. In languages of ``READINGS`` phones stand for characters, and for words too.
    """
    words, characters = _said(text, language, locale)
    found_words, found_characters = _said(recognised, language)
    return Errors(
        edit_distance(words, found_words),
        len(words),
        edit_distance(characters, found_characters),
        len(characters),
    )


def _said(text: str, language: str, locale: str = "") -> tuple[Sequence[str], Sequence[str]]:
    """Return the words and the characters of what is said."""
    try:
        spoken = phonemize(text, language, locale=locale) if text.strip() else None
    except SovitsError:  # letters of another script, say: they are wrong by themselves
        spoken = None
    if spoken is not None and language in READINGS:
        phones = [phone for phone in spoken.phones if phone[:1].isalpha()]
        return phones, phones
    words = plain(spoken.normalized if spoken else text)
    return words.split(), words.replace(" ", "")


def plain(text: str) -> str:
    """Return lower-case letters and digits of any script, apostrophes inside words, and single spaces."""
    folded = unicodedata.normalize("NFKC", text).casefold().replace("\u2019", "'")
    kept = re.sub(r"[^\w']|_", " ", folded)
    return " ".join(word.strip("'") for word in kept.split() if word.strip("'"))


def edit_distance(expected: Sequence[str], found: Sequence[str]) -> int:
    """Return the least number of substitutions, deletions and insertions (Levenshtein 1966)."""
    row = list(range(len(found) + 1))
    for index, wanted in enumerate(expected, start=1):
        diagonal, row[0] = row[0], index
        for place, given in enumerate(found, start=1):
            diagonal, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, diagonal + (wanted != given))
    return row[-1]
