"""Characters that nobody sees and no word is written with: they are taken out before a text is looked at."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection
from functools import cache
from typing import Final

from sovits_core.text.spans import SpannedText

# Default-ignorable characters that are no format characters (Cf), as joiners, fillers and variation selectors, the
# frame of
# keycaps, and the planes for private use.
_IGNORABLE: Final = (
    "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u20e3\u3164\uffa0\ufe00-\ufe0f\U000e0000-\U000e0fff"
    "\U000f0000-\U0010ffff"
)
# Format characters, controls, private use, unassigned. White space among the controls stays.
_CATEGORIES: Final = frozenset(["Cf", "Cc", "Co", "Cn"])
_SURROGATES: Final = re.compile("[\ud800-\udfff]+")
_SPACES: Final = re.compile(r"[\t\v\f\x1c-\x1f\u2028]")
# Letters of Greek with accents and breathings: all are read by their names.
_GREEK: Final = re.compile(
    r"[\u0386-\u0390\u03aa-\u03b0\u03ca-\u03ce\u1f00-\u1fbc"
    r"\u1fc2-\u1fcc\u1fd0-\u1fdb\u1fe0-\u1fec\u1ff2-\u1ffc]"
)
# A character with what is composed with it: the marks after kana, and the parts of a Korean syllable.
_LETTER: Final = re.compile(r"[\uffa0-\uffdc]+|.[\u0300-\u036f\u3099\u309a\uff9e\uff9f]*", re.DOTALL)
_LINE_ENDS: Final = re.compile(r"\r\n?|\x85|\u2029")
# The vowels and codas of Korean syllables in parts, which join the onset before them.
_KOREAN_PARTS: Final = "\u1161-\u1175\u11a8-\u11c2"


# Marks and format characters lie in the first two planes.
_SCANNED: Final = 0x20000


def visible(text: str) -> SpannedText:
    """Return the text without invisible characters, as composed (NFC), with newlines as line ends.

    Greek letters lose their accents. Soft hyphens, joiners, zero-width spaces, byte order marks, variation selectors,
    marks of direction, private and unassigned characters go; halves of characters, which JSON may hold, become spaces.
    """
    found = SpannedText(text)
    if text.isascii() and text.isprintable():
        return found
    found = found.sub(_SURROGATES, lambda _: " ").sub(_unseen(), lambda _: "")
    found = found.sub(_LINE_ENDS, lambda _: "\n").sub(_SPACES, lambda _: " ")
    if not unicodedata.is_normalized("NFC", found.text):
        found = found.sub(_composable(), lambda match: unicodedata.normalize("NFC", match[0]))
    return found.sub(_GREEK, lambda match: unicodedata.normalize("NFD", match[0])[0])


def fold(text: SpannedText, kept: Collection[str]) -> SpannedText:
    """Write letters of other widths and styles as those that they are equivalent to (NFKC), but for what is kept."""
    if unicodedata.is_normalized("NFKC", text.text):
        return text
    return text.sub(_LETTER, lambda match: None if match[0][0] in kept else unicodedata.normalize("NFKC", match[0]))


@cache
def _unseen() -> re.Pattern[str]:
    spelled = _ranges(lambda sign: unicodedata.category(sign) in _CATEGORIES and not sign.isspace())
    return re.compile(f"[{_IGNORABLE}{spelled}]+")


@cache
def _composable() -> re.Pattern[str]:
    marks = _ranges(lambda sign: unicodedata.category(sign) in {"Mn", "Mc", "Me"}) + _KOREAN_PARTS
    return re.compile(f"[^{marks}][{marks}]*|[{marks}]+")


def _ranges(belongs: Callable[[str], bool]) -> str:
    """Return the inside of a character class for all characters of a kind."""
    spelled, first, last = "", -2, -2
    for code in range(_SCANNED + 1):
        if code < _SCANNED and belongs(chr(code)):
            first, last = (first, code) if last == code - 1 else (code, code)
        elif last == code - 1:
            spelled += f"{re.escape(chr(first))}-{re.escape(chr(last))}"
    return spelled
