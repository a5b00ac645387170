"""How one English word is pronounced: dictionary, then known parts, then the network; never fails."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from sovits_core.text.english.derivation import compound, derived, plural_of
from sovits_core.text.english.dictionary import known
from sovits_core.text.english.network import open_network

# The longest unknown word that is spelled out.
_LONGEST_SPELLED = 3
# Longer rows of letters are no words; they are read in pieces, so that time stays bounded.
_LONGEST_WORD = 40
_LONGEST_PIECE = 20
_LETTERS = {
    "a": "EY1", "b": "B IY1", "c": "S IY1", "d": "D IY1", "e": "IY1", "f": "EH1 F", "g": "JH IY1", "h": "EY1 CH",
    "i": "AY1", "j": "JH EY1", "k": "K EY1", "l": "EH1 L", "m": "EH1 M", "n": "EH1 N", "o": "OW1", "p": "P IY1",
    "q": "K Y UW1", "r": "AA1 R", "s": "EH1 S", "t": "T IY1", "u": "Y UW1", "v": "V IY1", "w": "D AH1 B AH0 L Y UW0",
    "x": "EH1 K S", "y": "W AY1", "z": "Z IY1",
}  # fmt: skip


class Pronunciation(NamedTuple):
    """The phones of a word, and what read it."""

    phones: tuple[str, ...]
    source: str


def spell_letters(word: str) -> list[str]:
    """Return the names of a word's letters; other characters are silent."""
    return [phone for letter in word.lower() for phone in _LETTERS.get(letter, "").split()]


@lru_cache(maxsize=32_768)
def pronounce(word: str) -> Pronunciation:
    """Return the phones of a lower-case word of letters, apostrophes and hyphens; any such word has some."""
    if found := known(word):
        return Pronunciation(tuple(found), "dictionary")
    if found := _with_apostrophe(word) or (derived(word) if len(word) <= _LONGEST_WORD else None):
        return Pronunciation(tuple(found), "dictionary, with an ending or a beginning")
    if "-" in word:
        return _joined_parts(part for part in word.split("-") if part)
    return _unknown(word.replace("'", ""))


def _joined_parts(words: Iterable[str]) -> Pronunciation:
    parts = [pronounce(word) for word in words]
    sources = dict.fromkeys(part.source for part in parts)
    return Pronunciation(tuple(phone for part in parts for phone in part.phones), " + ".join(sources))


def _unknown(word: str) -> Pronunciation:
    if len(word) <= _LONGEST_SPELLED:
        return Pronunciation(tuple(spell_letters(word)), "letters")
    if len(word) > _LONGEST_WORD:
        return _joined_parts(re.findall(f".{{1,{_LONGEST_PIECE}}}", word))
    if found := compound(word):
        return Pronunciation(tuple(found), "dictionary, as a compound")
    return Pronunciation(tuple(open_network().read(word) or spell_letters(word)), "network")


def with_plural(phones: list[str]) -> tuple[str, ...]:
    """Return the phones of a word with the s of a plural or a possessive."""
    return (*phones, *plural_of(phones))


def _with_apostrophe(word: str) -> list[str] | None:
    """Read a possessive: a plural's has no sound of its own."""
    if word.endswith("'"):
        return known(word[:-1])
    if word.endswith("'s") and len(word) > 2:
        return list(with_plural(list(pronounce(word[:-2]).phones)))
    return None
