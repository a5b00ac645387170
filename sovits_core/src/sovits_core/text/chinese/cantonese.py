"""Cantonese text to phones: Jyutping for each character, as an initial and a final with tone, and the marks."""

from __future__ import annotations

from functools import cache, lru_cache
from itertools import chain
from typing import TYPE_CHECKING

from sovits_core.errors import MissingExtra
from sovits_core.text.chinese.normalization import MARKS, normalize
from sovits_core.text.symbols import UNKNOWN, symbols

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["normalize", "phones", "phones_by_character"]


def phones(normalized: str) -> list[str]:
    """Return the phones of a text from `normalize`; a character that no dictionary reads becomes UNK UNK.

    They are in the v2 table only. Raises MissingExtra where the `yue` extra is not installed.
    """
    return phones_by_character(normalized)[0]


def phones_by_character(normalized: str, _table: str = "v2", _polyphones: object = None) -> tuple[list[str], list[int]]:
    """Return the phones and how many each character of `normalized` has: two, or one for a mark; the table is v2."""
    by_character = [
        [character] if character in MARKS else list(_symbols(jyutping or ""))
        for character, jyutping in _dictionary()(normalized)
    ]
    return list(chain.from_iterable(by_character)), [len(parts) for parts in by_character]


@lru_cache(maxsize=4096)
def _symbols(jyutping: str) -> tuple[str, str]:
    """Return the symbols of a syllable: "gwong2" is Ygw Yong2, "m4" is Ym Ym4, "aa3" is Yaa Ya3."""
    if not jyutping:
        return UNKNOWN, UNKNOWN
    # A character for two syllables (吋, an English inch) is spoken as the last.
    syllable, tone = jyutping[:-1].rpartition(" ")[2], jyutping[-1:]
    # A syllable that begins with its vowel takes a piece of it as its initial, and each symbol is said to be one.
    initial = next((part for part in _initials() if syllable.startswith(part)), "")
    final = syllable[len(initial) :] or initial[-1:]
    if final == "ng":  # the nasal alone is written with its last letter
        final = "g"
    pair = (f"Y{initial}", f"Y{final}{tone}")
    return (pair[0] if initial else UNKNOWN, pair[1] if pair[1] in symbols("v2") else UNKNOWN)


@cache
def _initials() -> tuple[str, ...]:
    """Return what the table has without a tone, the longest first."""
    toneless = (name[1:] for name in symbols("v2") if len(name) > 1 and name[0] == "Y" and not name[-1].isdigit())
    return tuple(sorted(toneless, key=len, reverse=True))


@cache
def _dictionary() -> Callable[[str], list[tuple[str, str | None]]]:
    try:
        from ToJyutping import get_jyutping_list  # noqa: PLC0415 -- an extra, loaded with the first Cantonese text
    except ModuleNotFoundError as error:
        raise MissingExtra("Cantonese", "yue") from error
    return get_jyutping_list  # type: ignore[no-any-return]
