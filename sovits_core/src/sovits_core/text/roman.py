"""Roman numerals: their values, and the places in East Asian text where letters are one."""

from __future__ import annotations

import re

from sovits_core.text.spans import SpannedText

_VALUES = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
# Letters after 第 or before what is numbered: II型, 伊丽莎白II世, 루이 XIV세. A single letter there is mostly a name.
NUMERAL = re.compile(
    "(?:(?<=[第제])[IVX]{1,6}|(?<![A-Za-z0-9])[IVX]{2,6}(?=\\s?[型世期级級类類章部巻卷编編幕回条條节節장세형급기부권편]))(?![A-Za-z])"
)
_SIGN = re.compile("[\u2160-\u216b\u2170-\u217b]")


def value(numeral: str) -> int:
    """Return the value of a Roman numeral in letters of either case."""
    values = [_VALUES[letter] for letter in numeral.upper()]
    return sum(-one if one < after else one for one, after in zip(values, [*values[1:], 0], strict=True))


def to_figures(text: SpannedText) -> SpannedText:
    """Write Roman numerals in East Asian text, letters or signs, in figures."""
    text = text.sub(_SIGN, lambda match: str((ord(match[0]) - 0x2160) % 16 + 1), "Roman numeral")
    return text.sub(NUMERAL, lambda match: str(value(match[0])), "Roman numeral")
