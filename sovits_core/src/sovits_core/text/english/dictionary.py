"""The English dictionary: CMU's, words that are younger, and those that the front end itself writes."""

from __future__ import annotations

import lzma
from collections.abc import Iterable
from functools import cache
from importlib import resources

# "Ay" is how the front end writes the name of the letter A; the dictionary reads it as "eye".
_OVERRIDES = {"ay": "EY1", "miz": "M IH1 Z", "cetera": "S EH1 T ER0 AH0", "et": "EH1 T"}


def known(word: str) -> list[str] | None:
    """Return the phones of a lower-case word, or None where the dictionary lacks it."""
    found = _dictionary().get(word)
    return found.split() if found else None


def is_known(word: str) -> bool:
    """Tell whether the dictionary has this lower-case word."""
    return word in _dictionary()


def known_words() -> Iterable[str]:
    """Return the lower-case words of the dictionary."""
    return _dictionary().keys()


@cache
def _dictionary() -> dict[str, str]:
    packed = (resources.files("sovits_core.text.english") / "data" / "cmudict.txt.xz").read_bytes()
    lines = lzma.decompress(packed).decode("utf-8").splitlines()
    return dict(line.split(" ", 1) for line in lines) | _OVERRIDES | _newer_words()


@cache
def _newer_words() -> dict[str, str]:
    text = (resources.files("sovits_core.text.english") / "data" / "newer_words.txt").read_text(encoding="utf-8")
    return dict(line.split(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
