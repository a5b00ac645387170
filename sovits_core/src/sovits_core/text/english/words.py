"""How one English word is pronounced: dictionary, then known parts, then the network; never fails."""

from __future__ import annotations

import lzma
import re
from collections.abc import Iterable
from functools import cache, lru_cache
from importlib import resources
from typing import NamedTuple

from sovits_core.text.english.network import open_network

VOICELESS = frozenset({"P", "T", "K", "F", "TH"})
SIBILANTS = frozenset({"S", "Z", "SH", "ZH", "CH", "JH"})
# Kept small: the shortest part of a compound and the longest unknown word that is spelled out.
_SHORTEST_PART = 4
_SHORTEST_STEM = 3
_LONGEST_SPELLED = 3
# Longer rows of letters are no words; they are read in pieces, so that time stays bounded.
_LONGEST_WORD = 40
_LONGEST_PIECE = 20
_SUFFIXES = {
    "ing": "IH0 NG", "ly": "L IY0", "ness": "N AH0 S", "less": "L AH0 S", "ful": "F AH0 L", "er": "ER0", "ers": "ER0 Z",
    "est": "AH0 S T", "able": "AH0 B AH0 L", "ment": "M AH0 N T", "ist": "AH0 S T", "ists": "AH0 S T S",
    "ism": "IH2 Z AH0 M", "ish": "IH0 SH", "y": "IY0", "like": "L AY2 K", "ship": "SH IH2 P",
}  # fmt: skip
_PREFIXES = {
    "un": "AH0 N", "re": "R IY0", "non": "N AA0 N", "over": "OW2 V ER0", "pre": "P R IY0", "mis": "M IH0 S",
    "dis": "D IH0 S", "sub": "S AH0 B", "anti": "AE2 N T IY0",
}  # fmt: skip
_LETTERS = {
    "a": "EY1", "b": "B IY1", "c": "S IY1", "d": "D IY1", "e": "IY1", "f": "EH1 F", "g": "JH IY1", "h": "EY1 CH",
    "i": "AY1", "j": "JH EY1", "k": "K EY1", "l": "EH1 L", "m": "EH1 M", "n": "EH1 N", "o": "OW1", "p": "P IY1",
    "q": "K Y UW1", "r": "AA1 R", "s": "EH1 S", "t": "T IY1", "u": "Y UW1", "v": "V IY1", "w": "D AH1 B AH0 L Y UW0",
    "x": "EH1 K S", "y": "W AY1", "z": "Z IY1",
}  # fmt: skip
# "Ay" is how the front end writes the name of the letter A; the dictionary reads it as "eye".
_OVERRIDES = {"ay": "EY1", "miz": "M IH1 Z", "cetera": "S EH1 T ER0 AH0", "et": "EH1 T"}


class Pronunciation(NamedTuple):
    """The phones of a word, and what read it."""

    phones: tuple[str, ...]
    source: str


@cache
def _dictionary() -> dict[str, str]:
    packed = (resources.files("sovits_core.text.english") / "data" / "cmudict.txt.xz").read_bytes()
    lines = lzma.decompress(packed).decode("utf-8").splitlines()
    return dict(line.split(" ", 1) for line in lines) | _OVERRIDES | _newer_words()


@cache
def _newer_words() -> dict[str, str]:
    text = (resources.files("sovits_core.text.english") / "data" / "newer_words.txt").read_text(encoding="utf-8")
    return dict(line.split(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))


def is_known(word: str) -> bool:
    """Tell whether the dictionary has this lower-case word."""
    return word in _dictionary()


def known_words() -> Iterable[str]:
    """Return the lower-case words of the dictionary."""
    return _dictionary().keys()


def spell_letters(word: str) -> list[str]:
    """Return the names of a word's letters; other characters are silent."""
    return [phone for letter in word.lower() for phone in _LETTERS.get(letter, "").split()]


@lru_cache(maxsize=32_768)
def pronounce(word: str) -> Pronunciation:
    """Return the phones of a lower-case word of letters, apostrophes and hyphens; any such word has some."""
    if found := _known(word):
        return Pronunciation(tuple(found), "dictionary")
    if found := _derived(word):
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
    if found := _compound(word):
        return Pronunciation(tuple(found), "dictionary, as a compound")
    return Pronunciation(tuple(open_network().read(word) or spell_letters(word)), "network")


def with_plural(phones: list[str]) -> tuple[str, ...]:
    """Return the phones of a word with the s of a plural or a possessive."""
    return (*phones, *_plural_of(phones))


def _known(word: str) -> list[str] | None:
    found = _dictionary().get(word)
    return found.split() if found else None


def _derived(word: str) -> list[str] | None:
    """Try possessives, endings and beginnings on words that are known."""
    if word.endswith("'"):
        return _known(word[:-1])
    if word.endswith("'s") and len(word) > 2:
        owner = list(pronounce(word[:-2]).phones)
        return owner + _plural_of(owner)
    return _inflected(word) or _affixed(word)


def _inflected(word: str) -> list[str] | None:
    if word.endswith("s") and not word.endswith("ss"):
        stem = _known(word[:-1]) or (_known(word[:-2]) if word.endswith("es") else None)
        return stem and stem + _plural_of(stem)
    if word.endswith("ed") and (stem := _stem(word[:-2])):
        return stem + _past_of(stem)
    return None


def _affixed(word: str) -> list[str] | None:
    for suffix, phones in _SUFFIXES.items():
        if word.endswith(suffix) and (stem := _stem(word[: -len(suffix)])):
            return _joined(stem, phones.split())
    for prefix, phones in _PREFIXES.items():
        rest = word[len(prefix) :]
        if word.startswith(prefix) and len(rest) >= _SHORTEST_STEM and (stem := _known(rest)):
            return phones.split() + stem
    return None


def _past_of(stem: list[str]) -> list[str]:
    if stem[-1] in {"T", "D"}:
        return ["AH0", "D"]
    return ["T"] if stem[-1] in VOICELESS | {"S", "SH", "CH"} else ["D"]


def _stem(stem: str) -> list[str] | None:
    """Find the word an ending was added to: as it stands, with its silent e, its y, or without the doubled letter."""
    if len(stem) < _SHORTEST_STEM:
        return None
    candidates = [stem, f"{stem}e"]
    if stem.endswith("i"):
        candidates.append(f"{stem[:-1]}y")
    if stem[-1] == stem[-2]:
        candidates.append(stem[:-1])
    return next((found for candidate in candidates if (found := _known(candidate))), None)


def _joined(stem: list[str], ending: list[str]) -> list[str]:
    """Add an ending; two equal consonants sound once, and "-ically" loses its middle vowel."""
    if ending[0] == "L" and stem[-4:] == ["AH0", "K", "AH0", "L"]:
        return [*stem[:-4], "IH0", "K", *ending]
    return stem + (ending[1:] if stem[-1] == ending[0] else ending)


def _plural_of(stem: list[str]) -> list[str]:
    if stem[-1] in SIBILANTS:
        return ["AH0", "Z"]
    return ["S"] if stem[-1] in VOICELESS else ["Z"]


def _compound(word: str) -> list[str] | None:
    """Split into two known words, as even as possible; the second loses its main stress."""
    boundaries = sorted(
        range(_SHORTEST_PART, len(word) - _SHORTEST_PART + 1), key=lambda boundary: abs(2 * boundary - len(word))
    )
    for boundary in boundaries:
        first, second = _known(word[:boundary]), _known(word[boundary:])
        if first and second:
            return first + [phone.replace("1", "2") for phone in second]
    return None
