"""How a region writes dates and numbers: what is ambiguous is rewritten in the form that every language reads."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Final, Literal, NamedTuple

from sovits_core.errors import TextRejected
from sovits_core.text.english.dates import ON
from sovits_core.text.spans import SpannedText

_NO_BREAK: Final = "\u00a0"
_POINT, _COMMA = (".", ","), (",", ".")
_COMMA_AND_SPACE: Final = (",", _NO_BREAK)


class Locale(NamedTuple):
    """What of a region's writing is ambiguous without it."""

    order: Literal["dmy", "mdy", "ymd"]
    """Of day, month and year in figures."""
    marks: tuple[str, str]
    """Before the decimals, and between the thousands."""


# BCP 47 names; values of Unicode's CLDR (short dates, and the symbols of Latin digits).
LOCALES: Final[Mapping[str, Locale]] = {
    "cs-CZ": Locale("dmy", _COMMA_AND_SPACE),
    "da-DK": Locale("dmy", _COMMA),
    "de-AT": Locale("dmy", _COMMA),
    "de-CH": Locale("dmy", (".", "'")),
    "de-DE": Locale("dmy", _COMMA),
    "en-AU": Locale("dmy", _POINT),
    "en-CA": Locale("ymd", _POINT),
    "en-GB": Locale("dmy", _POINT),
    "en-IE": Locale("dmy", _POINT),
    "en-IN": Locale("dmy", _POINT),
    "en-NZ": Locale("dmy", _POINT),
    "en-SG": Locale("dmy", _POINT),
    "en-US": Locale("mdy", _POINT),
    "en-ZA": Locale("ymd", _COMMA_AND_SPACE),
    "es-ES": Locale("dmy", _COMMA),
    "es-MX": Locale("dmy", _POINT),
    "fi-FI": Locale("dmy", _COMMA_AND_SPACE),
    "fr-CA": Locale("ymd", _COMMA_AND_SPACE),
    "fr-FR": Locale("dmy", _COMMA_AND_SPACE),
    "it-IT": Locale("dmy", _COMMA),
    "ja-JP": Locale("ymd", _POINT),
    "ko-KR": Locale("ymd", _POINT),
    "nb-NO": Locale("dmy", _COMMA_AND_SPACE),
    "nl-NL": Locale("dmy", _COMMA),
    "pl-PL": Locale("dmy", _COMMA_AND_SPACE),
    "pt-BR": Locale("dmy", _COMMA),
    "pt-PT": Locale("dmy", _COMMA_AND_SPACE),
    "ru-RU": Locale("dmy", _COMMA_AND_SPACE),
    "sv-SE": Locale("ymd", _COMMA_AND_SPACE),
    "uk-UA": Locale("dmy", _COMMA_AND_SPACE),
    "zh-CN": Locale("ymd", _POINT),
    "zh-HK": Locale("dmy", _POINT),
    "zh-SG": Locale("dmy", _POINT),
    "zh-TW": Locale("ymd", _POINT),
}
# Two figures of a year below this are of this century.
_NEXT_CENTURY: Final = 50
_DATE: Final = re.compile(
    r"(?<![A-Za-z0-9./,:-])(\d{1,2})(?P<sep>[/.-])(\d{1,2})(?P=sep)([12]\d{3}|\d\d)(?![A-Za-z0-9/-]|[.,:]\d)"
)
_DAY_OF_YEAR: Final = re.compile(rf"(?:{ON})(\d{{1,2}})/(\d{{1,2}})(?![\d/])")
# A mark between thousands as people type it.
_TYPED: Final = {".": r"\.", _NO_BREAK: "[\u00a0\u2009\u202f]", "'": "['\u2019]"}
_DIGIT_ROWS: Final = re.compile(r"\d+")
_LARGEST_OCTET: Final = 255


def require_locale(name: str) -> None:
    """Raise TextRejected unless it is one of LOCALES, or empty: none."""
    if name and name not in LOCALES:
        raise TextRejected(f"locale {name[:40]!r} is not known; use one of: {', '.join(LOCALES)}")


def known_locale(name: str) -> str:
    """Return the name, for a field of a document. Raises ValueError, with those that are known, where it is none."""
    try:
        require_locale(name)
    except TextRejected as error:
        raise ValueError(str(error)) from error
    return name


def in_locale(text: SpannedText, name: str) -> SpannedText:
    """Write dates as 2024-03-12 and numbers as 1,234.5 where a region writes them otherwise; without a name nothing.

    A date that only another order makes possible is read in that one. Fractions (1/2) stay what they are, but for days
    after a word such as "on". `name` is one of LOCALES.
    """
    if not name or not _DIGIT_ROWS.search(text.text):
        return text
    locale = LOCALES[name]
    text = text.sub(_DATE, lambda match: _date(match, locale.order), f"date in {name}")
    if locale.order == "dmy":
        text = text.sub(_DAY_OF_YEAR, _day_of_year, f"date in {name}")
    if locale.marks != _POINT:
        text = text.sub(_numbers(*locale.marks), _number, f"number in {name}")
    return text


def _date(match: re.Match[str], order: str) -> str | None:
    first, second, last = match[1], match[3], match[4]
    if order == "ymd":  # 24/3/12; where the year is last, the language has its own reading
        return _iso(first, second, last) if len(first) == len(last) == 2 else None
    month, day = (second, first) if order == "dmy" else (first, second)
    return _iso(last, month, day) or _iso(last, day, month)


def _iso(year: str, month: str, day: str) -> str | None:
    if not 1 <= int(month) <= 12 or not 1 <= int(day) <= 31:
        return None
    century = "" if len(year) == 4 else "20" if int(year) < _NEXT_CENTURY else "19"
    return f"{century}{year}-{int(month):02}-{int(day):02}"


def _day_of_year(match: re.Match[str]) -> str | None:
    """Put the month first, as the English rule has it."""
    day, month = match[1], match[2]
    return f"{month}/{day}" if 1 <= int(month) <= 12 and 1 <= int(day) <= 31 else None


@cache
def _numbers(decimal: str, group: str) -> re.Pattern[str]:
    thousands = rf"(?P<whole>[1-9]\d{{0,2}}(?:{_TYPED[group]}\d{{3}})+|\d+)"
    return re.compile(
        rf"(?<![A-Za-z0-9.,]){thousands}(?:{re.escape(decimal)}(?P<decimals>\d+))?(?![0-9]|[.,'\u2019]\d)"
    )


def _number(match: re.Match[str]) -> str | None:
    groups = _DIGIT_ROWS.findall(match["whole"])
    if "." in match["whole"] and len(groups) == 4 and all(int(one) <= _LARGEST_OCTET for one in groups):
        return None  # the address of a machine
    return ",".join(groups) + (f".{match['decimals']}" if match["decimals"] else "")
