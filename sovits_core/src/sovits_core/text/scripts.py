"""Which letters a language is written with: what none of its readers knows would be dropped without a word."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Final

# How the Unicode names of a language's letters begin; all languages but English also take English words.
SCRIPTS: Final[Mapping[str, tuple[str, ...]]] = {
    "en": ("LATIN",),
    "ja": ("LATIN", "HIRAGANA", "KATAKANA", "HALFWIDTH KATAKANA", "CJK", "IDEOGRAPHIC", "FULLWIDTH LATIN"),
    "ko": ("LATIN", "HANGUL", "CJK"),
    "yue": ("LATIN", "CJK", "FULLWIDTH LATIN"),
    "zh": ("LATIN", "CJK", "FULLWIDTH LATIN"),
}


def foreign_letters(text: str, language: str) -> str:
    """Return the letters of a text, each once and sorted, that no word of the language is written with.

    Args:
        text: anything.
        language: a key of ``SCRIPTS``.
    """
    names = SCRIPTS[language]
    return "".join(
        sorted({sign for sign in text if sign.isalpha() and not unicodedata.name(sign, "").startswith(names)})
    )
