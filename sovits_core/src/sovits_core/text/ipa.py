"""English in the International Phonetic Alphabet to ARPAbet, American or British."""

# ruff: noqa: RUF001 -- the letters of the alphabet that this file is about
from __future__ import annotations

import re
import unicodedata
from typing import Final

_VOWELS: Final = {
    "iː": "IY", "i": "IY", "ɪ": "IH", "eɪ": "EY", "e": "EH", "ɛ": "EH", "æ": "AE", "a": "AE", "ɑː": "AA", "ɑ": "AA",
    "ɒ": "AA", "ɔː": "AO", "ɔ": "AO", "oʊ": "OW", "əʊ": "OW", "o": "OW", "ʊ": "UH", "uː": "UW", "u": "UW", "ʌ": "AH",
    "ə": "AH", "ɐ": "AH", "ɨ": "IH", "ɜːr": "ER", "ɜː": "ER", "ɜ": "ER", "ɝ": "ER", "ɝː": "ER", "ɚ": "ER", "əɹ": "ER",
    "ər": "ER", "ɜr": "ER", "ɜɹ": "ER", "aɪ": "AY", "aʊ": "AW", "ɔɪ": "OY", "aː": "AA", "ei": "EY", "ai": "AY",
    "au": "AW", "oi": "OY", "ou": "OW",
}  # fmt: skip
_CENTRING: Final = {"ɪə": ("IH", "R"), "eə": ("EH", "R"), "ʊə": ("UH", "R"), "ɛə": ("EH", "R")}
_CONSONANTS: Final = {
    "p": "P", "b": "B", "t": "T", "d": "D", "k": "K", "ɡ": "G", "g": "G", "tʃ": "CH", "ʧ": "CH", "dʒ": "JH", "ʤ": "JH",
    "f": "F", "v": "V", "θ": "TH", "ð": "DH", "s": "S", "z": "Z", "ʃ": "SH", "ʒ": "ZH", "h": "HH", "m": "M", "n": "N",
    "ŋ": "NG", "l": "L", "ɫ": "L", "ɹ": "R", "r": "R", "w": "W", "j": "Y", "ɾ": "D", "ʔ": "T", "x": "K", "ʍ": "W",
}  # fmt: skip
# Brackets, syllable borders, ties and length that no rule took; a mark below a consonant makes it a syllable.
_IGNORED: Final = frozenset("/[]().ː ‿\u0361\u035c\u02b0\u032f-")
_SYLLABIC: Final = "\u0329"
_SOUNDS: Final = re.compile("|".join(sorted({*_VOWELS, *_CENTRING, *_CONSONANTS}, key=len, reverse=True)))


def to_arpabet(ipa: str) -> tuple[tuple[str, ...], str]:
    """Return the phones with stress, and what could not be read from the first such character on."""
    text = unicodedata.normalize("NFD", ipa).replace("\u0361", "").replace("\u035c", "").replace("'", "ˈ")
    phones: list[str] = []
    stress, at = "0", 0
    while at < len(text):
        sign = text[at]
        if sign in "ˈˌ":
            stress = "1" if sign == "ˈ" else "2"
        elif sign == _SYLLABIC and phones:
            phones.insert(-1, "AH0")
        elif sign not in _IGNORED:
            match = _SOUNDS.match(text, at)
            if match is None:
                return tuple(phones), text[at:]
            found = _phones(match[0], stress)
            stress = "0" if found[0][-1].isdigit() else stress
            phones += found
            at = match.end() - 1
        at += 1
    return _with_main_stress(phones), ""


def _phones(sound: str, stress: str) -> list[str]:
    if sound in _CENTRING:
        vowel, consonant = _CENTRING[sound]
        return [vowel + stress, consonant]
    return [_VOWELS[sound] + stress] if sound in _VOWELS else [_CONSONANTS[sound]]


def _with_main_stress(phones: list[str]) -> tuple[str, ...]:
    """Stress the vowel of a word that has one vowel; people leave the mark out there."""
    vowels = [index for index, phone in enumerate(phones) if phone[-1].isdigit()]
    if len(vowels) == 1:
        phones[vowels[0]] = phones[vowels[0]][:-1] + "1"
    return tuple(phones)
