"""Which letters a language is written with: what none of its readers knows would be dropped without a word."""

# ruff: noqa: RUF001 -- the signs that people write
from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Final

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


def _is_of(letter: str, names: tuple[str, ...]) -> bool:
    # Letters in circles, of other widths and of mathematics are those that they are equivalent to.
    plain = unicodedata.normalize("NFKC", letter)
    return all(not sign.isalpha() or unicodedata.name(sign, "").startswith(names) for sign in plain)
