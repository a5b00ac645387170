"""Which letters a language is written with: what none of its readers knows would be dropped without a word."""

# ruff: noqa: RUF001 -- the signs that people write
from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from sovits_core.text.readings import WordReading
from sovits_core.text.spans import SpannedText

# How the Unicode names of the letters begin that a language's reader knows. Greek ones are read by their names.
SCRIPTS: Final[Mapping[str, tuple[str, ...]]] = {
    "en": ("LATIN", "GREEK"),
    "ja": ("LATIN", "GREEK", "HIRAGANA", "KATAKANA", "CJK", "IDEOGRAPHIC"),
    "ko": ("LATIN", "GREEK", "HANGUL", "CJK"),
    "yue": ("LATIN", "GREEK", "CJK", "IDEOGRAPHIC"),
    "zh": ("LATIN", "GREEK", "CJK", "IDEOGRAPHIC"),
}
# Letters by Unicode's account that are signs of measures, sums and lists, and are read as such.
_SIGNS: Final = frozenset("ªº\u2107\u2126\u212a\u212bµℓ№々〇〆")
# Others that make no sound of their own: apostrophes, accents and stress beside a letter, a dash of kana, a picture.
_MUTE: Final = frozenset("ʹʺʻʼʽʾʿˆˇˈˉˊˋˌˍˎˏːˑーｰㆍℹ")
# Phones that begin with a letter and make no sound either.
SILENT: Final = frozenset(["UNK", "SP", "SP2", "SP3", "停", "空"])


def foreign_letters(text: str, language: str) -> str:
    """Return the letters of a text, each once and sorted, that the language's reader does not know.

    Args:
        text: anything.
        language: a key of ``SCRIPTS``.
    """
    if text.isascii():
        return ""
    names = SCRIPTS[language]
    return "".join(sorted({sign for sign in text if sign.isalpha() and sign not in _SIGNS and not _is_of(sign, names)}))


def unread_letters(written: SpannedText, normalized: SpannedText, words: Iterable[WordReading]) -> str:
    """Return the letters of a text that nothing was said for, each once and sorted; those of ASCII always are.

    Args:
        written: a part of a text.
        normalized: how it is said; its origins are those of `written`.
        words: how that was read.
    """
    if written.text.isascii():
        return ""
    left = {
        origin.start: sign
        for sign, origin in zip(written.text, written.origins, strict=True)
        if not sign.isascii() and sign.isalpha() and sign not in _SIGNS and sign not in _MUTE
    }
    if not left:
        return ""
    for origin in {normalized.origins[place] for word in words for place in _sounding(word)}:
        for place in range(origin.start, origin.end):
            left.pop(place, None)
    return "".join(sorted(set(left.values())))


def _sounding(word: WordReading) -> Iterator[int]:
    """Yield the places of the characters of a word that have a sound."""
    if not word.counts:
        if _has_sound(word.phones):
            yield from range(word.start, word.start + len(word.text))
        return
    done = 0
    for place, count in enumerate(word.counts, start=word.start):
        if _has_sound(word.phones[done : done + count]):
            yield place
        done += count


def _has_sound(phones: Iterable[str]) -> bool:
    return any(phone[0].isalpha() and phone not in SILENT for phone in phones)


def _is_of(letter: str, names: tuple[str, ...]) -> bool:
    # Letters in circles, of other widths and of mathematics are those that they are equivalent to.
    plain = unicodedata.normalize("NFKC", letter)
    return all(not sign.isalpha() or unicodedata.name(sign, "").startswith(names) for sign in plain)
