"""The Korean alphabet: syllables and the letters they are made of."""

from __future__ import annotations

from dataclasses import dataclass

ONSETS = "ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ"
NUCLEI = "ㅏㅐㅑㅒㅓㅔㅕㅖㅗㅘㅙㅚㅛㅜㅝㅞㅟㅠㅡㅢㅣ"
CODAS = ("", *"ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ")
_FIRST, _LAST = 0xAC00, 0xD7A3
CONSONANTS = frozenset(ONSETS)
# How the family's symbols write the vowels: a glide is the vowel before it.
VOWELS = {
    "ㅏ": "ㅏ", "ㅐ": "ㅐ", "ㅓ": "ㅓ", "ㅔ": "ㅔ", "ㅗ": "ㅗ", "ㅜ": "ㅜ", "ㅡ": "ㅡ", "ㅣ": "ㅣ",
    "ㅑ": "ㅣㅏ", "ㅒ": "ㅣㅐ", "ㅕ": "ㅣㅓ", "ㅖ": "ㅣㅔ", "ㅛ": "ㅣㅗ", "ㅠ": "ㅣㅜ",
    "ㅘ": "ㅗㅏ", "ㅙ": "ㅗㅐ", "ㅚ": "ㅗㅣ", "ㅝ": "ㅜㅓ", "ㅞ": "ㅜㅔ", "ㅟ": "ㅜㅣ", "ㅢ": "ㅡㅣ",
}  # fmt: skip


@dataclass
class Syllable:
    """One block of letters, and what the rules of pronunciation must know of the word it stands in."""

    onset: str
    nucleus: str
    coda: str
    starts_word: bool = False
    """It begins a noun, a verb or another word with a meaning of its own, not a particle or an ending."""
    ends_stem: bool = False
    """It ends the stem of a verb or adjective, and an ending follows."""
    before_noun: bool = False
    """It ends in the ㄹ of a verb's form that tenses what follows."""
    object_marker: bool = False
    """It is the particle 을 or 를."""


def split_syllable(character: str) -> Syllable | None:
    """Return the letters of a syllable; None for any other character."""
    if not _FIRST <= ord(character) <= _LAST:
        return None
    first, rest = divmod(ord(character) - _FIRST, len(NUCLEI) * len(CODAS))
    return Syllable(ONSETS[first], NUCLEI[rest // len(CODAS)], CODAS[rest % len(CODAS)])


def join_letters(syllable: Syllable) -> str:
    """Return a syllable as one character."""
    place = ONSETS.index(syllable.onset) * len(NUCLEI) + NUCLEI.index(syllable.nucleus)
    return chr(_FIRST + place * len(CODAS) + CODAS.index(syllable.coda))


def letters(syllable: Syllable) -> list[str]:
    """Return the symbols of a syllable; the silent ㅇ before a vowel is one of them."""
    return [syllable.onset, *VOWELS[syllable.nucleus], *([syllable.coda] if syllable.coda else [])]
