"""Cantonese text to phones: Jyutping for each character, as an initial and a final with tone, and the marks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import TYPE_CHECKING

from sovits_core.errors import MissingExtra
from sovits_core.text.chinese import normalization
from sovits_core.text.chinese.normalization import MARKS, simplified
from sovits_core.text.chinese.numbers import digit_by_digit
from sovits_core.text.readings import Context, WordReading
from sovits_core.text.spans import SpannedText
from sovits_core.text.symbols import UNKNOWN, symbols

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["normalize", "read"]

_CALLED_ONE = re.compile("幺")
# Telephone numbers of Hong Kong and Macau have eight digits.
_TELEPHONE = re.compile(r"(?<![\d.-])(?<!\d )(?!20\d\d-20)([2-9]\d{3})[- ](\d{4})(?![\d.-])")


def normalize(text: SpannedText) -> SpannedText:
    """Write out what is no character, as for Mandarin: but one is 一 where digits are called out."""
    text = text.sub(_TELEPHONE, lambda match: "、".join(map(digit_by_digit, match.groups())), "telephone number")
    written = normalization.normalize(text)
    return written.sub(_CALLED_ONE, lambda match: "一" if written.origins[match.start()].rule else None)


def read(normalized: str, context: Context) -> list[WordReading]:
    """Return the characters and marks of a text from `normalize`; one that no dictionary reads becomes UNK UNK.

    Their phones are in the v2 table only. Raises MissingExtra where the `yue` extra is not installed.
    """
    given = _from_lexicon(normalized, context.lexicon.readings("yue"))
    found = []
    for start, (character, jyutping) in enumerate(_dictionary()(normalized)):
        if character in MARKS:
            found.append(WordReading(character, (character,), "mark", start, (1,)))
        else:
            source = "lexicon" if start in given else "dictionary"
            found.append(WordReading(character, _symbols(given.get(start, jyutping or "")), source, start, (2,)))
    return found


def _from_lexicon(text: str, entries: Mapping[str, tuple[str, ...]]) -> dict[int, str]:
    given: dict[int, str] = {}
    for word, syllables in sorted(entries.items(), key=lambda entry: len(entry[0])):
        for match in re.finditer(re.escape(simplified(SpannedText(word)).text), text):
            given |= dict(zip(range(match.start(), match.end()), syllables, strict=True))
    return given


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
