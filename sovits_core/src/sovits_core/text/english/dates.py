"""Dates, years, decades and times of day in English text."""

from __future__ import annotations

import re

from sovits_core.text.english.numbers import TO, cardinal, counted, decade, ordinal, plain, year
from sovits_core.text.spans import Rule

_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_MONTH_OF = {name[:3].lower(): name for name in _MONTHS} | {"sept": "September"}
_DAYS = {"mon": "Monday", "tue": "Tuesday", "tues": "Tuesday", "wed": "Wednesday", "thu": "Thursday",
         "thur": "Thursday", "thurs": "Thursday", "fri": "Friday", "sat": "Saturday", "sun": "Sunday"}  # fmt: skip
_MONTH = rf"(?P<month>{'|'.join(_MONTHS)}|(?:Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\b\.?)"
_FIRST_TWO_DIGITS_OF_1900S = 50
_DAY = r"(?P<day>0?[1-9]|[12]\d|3[01])"
_YEAR = r"(?P<year>[12]\d{3})"
_M_D = r"(?P<m>0?[1-9]|1[0-2])"
_ZONE = r"(?:[ECMP][SD]?T|GMT|UTC|BST|CES?T)\b"
_HALF = (
    r"(?:\s?(?P<half>[aApP])(?:\.\s?[mM]\b\.?|\s?[mM]\b)"
    rf"(?P<end>(?<=\.)(?=\s+(?!{_ZONE})[A-Z\"'(]))?)"
)
# Words after which two numbers with a slash are a day.
ON = r"(?<=\bon )|(?<=\bby )|(?<=\bdue )|(?<=\buntil )|(?<=\btill )|(?<=\bsince )|(?<=\bbefore )|(?<=\bafter )"


def _month(name: str) -> str:
    return _MONTH_OF[name.rstrip(".").lower()[:3]]


def _named(month: str, day: str, in_year: str | None) -> str:
    return f"{month} {ordinal(day)}" + (f", {year(in_year)}" if in_year else "")


def _month_first(match: re.Match[str]) -> str:
    last = match["last"]
    day = f"{ordinal(match['day'])} to {ordinal(last)}" if last else ordinal(match["day"])
    return f"{_month(match['month'])} {day}" + (f", {year(match['year'])}" if match["year"] else "")


def _day_first(match: re.Match[str]) -> str:
    article = "" if match["the"] else "the "
    date = f"{match['the'] or ''}{article}{ordinal(match['day'])} of {_month(match['month'])}"
    return date + (f", {year(match['year'])}" if match["year"] else "")


def _numeric(match: re.Match[str]) -> str | None:
    """Month before day, as in the United States, unless only the other order is possible."""
    first, second = int(match["a"]), int(match["b"])
    month, day = (first, second) if first <= 12 else (second, first)
    if not 1 <= month <= 12 or not 1 <= day <= 31:
        return None
    in_year = match["year"]
    return _named(_MONTHS[month - 1], str(day), _full(in_year))


def _full(digits: str) -> str:
    if len(digits) == 4:
        return digits
    return f"{'20' if int(digits) < _FIRST_TWO_DIGITS_OF_1900S else '19'}{digits}"


def _iso(match: re.Match[str]) -> str:
    return _named(_MONTHS[int(match["m"]) - 1], match["day"], match["year"]) + (", " if match["t"] else "")


def _in_year(match: re.Match[str]) -> str:
    return _named(_MONTHS[int(match["m"]) - 1], match["day"], None)


def _spoken_half(match: re.Match[str]) -> str:
    return f" {'Ay' if match['half'] in 'aA' else 'P'} M" + ("." if match["end"] is not None else "")


def _clock(match: re.Match[str]) -> str:
    hour, minute, second = match["hour"], match["minute"], match["second"]
    words = cardinal(plain(hour))
    if minute == "00" and not second:
        words += "" if match["half"] or int(hour) > 12 else " o'clock"
        words += " hundred hours" if int(hour) > 12 and not match["half"] else ""
    else:
        words += f" oh {cardinal(minute[1])}" if minute[0] == "0" else f" {cardinal(minute)}"
    if second:
        words += f" and {cardinal(plain(second))} second{'' if int(second) == 1 else 's'}"
    return words + (_spoken_half(match) if match["half"] else "")


def _hours(match: re.Match[str]) -> str:
    first = f"{cardinal(match['first'])} to " if match["first"] else ""
    return first + cardinal(match["hour"]) + _spoken_half(match)


def _years(match: re.Match[str]) -> str:
    return f"{year(match[1])} to {year(match[2]) if len(match[2]) == 4 else cardinal(match[2])}"


def _weekdays(match: re.Match[str]) -> str:
    return f"{_DAYS[match[1].lower()]} to {_DAYS[match[2].lower()]}"


def _months(match: re.Match[str]) -> str:
    return f"{_month(match[1])} to {_month(match[2])}"


def _decades(match: re.Match[str]) -> str:
    return f"{decade(match[1])} {match[2] or 'to'} {decade(match[3])}"


_WEEKDAY = "Mon|Tues?|Wed|Thur?s?|Fri|Sat|Sun"
_DASHES = "-\u2010\u2011\u2012\u2013\u2014~"
_SHORT_MONTH = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sept?|Oct|Nov|Dec"
_ANY_MONTH = rf"(?:{'|'.join(_MONTHS)}|(?:{_SHORT_MONTH})\b\.?)"
# What a decade stands before as an adjective.
_OF_A_DECADE = (
    "kids?|child|children|music|fashion|style|movies?|films?|pop|rock|rap|hits?|nostalgia|era|shows?|bab(?:y|ies)"
)

NAMES = (
    Rule("month", re.compile(r"\b(Jan|Feb|Aug|Sept?|Oct|Nov|Dec)\b\.(?!\w)"), lambda match: _month(match[1])),
    Rule("month", re.compile(rf"\b({_ANY_MONTH}){TO}({_ANY_MONTH})(?!\s?\d|\w)"), _months, _DASHES),
    Rule("weekday", re.compile(rf"\b({_WEEKDAY})\.?{TO}({_WEEKDAY})\b\.?"), _weekdays, _DASHES),
    Rule(
        "weekday",
        re.compile(r"\b(Mon|Tues|Wed|Thurs?|Fri)\.(?=,?\s)|\b(Sat|Sun)\.(?=,?\s+[A-Z\d])"),
        lambda match: _DAYS[(match[1] or match[2]).lower()],
    ),
    Rule("weekday", re.compile(rf"(?<=, )({_WEEKDAY})\.(?=\s*$)"), lambda match: f"{_DAYS[match[1].lower()]}."),
)
DATES = (
    Rule(
        "weekday",
        re.compile(rf"\b({_WEEKDAY})\b(?=,?\s(?:\d{{1,2}}(?:st|nd|rd|th)?\s)?{_ANY_MONTH})"),
        lambda match: _DAYS[match[1].lower()],
        "MTWFS",
    ),
    Rule(
        "dates",
        re.compile(rf"\b(\d{{1,2}}(?:st|nd|rd|th)?\s{_ANY_MONTH}){TO}(?=\d{{1,2}}(?:st|nd|rd|th)?\s{_ANY_MONTH})"),
        lambda match: f"{match[1]} to ",
        _DASHES,
    ),
    Rule("dates", re.compile(rf"\b({_ANY_MONTH}\s\d{{1,2}}){TO}(?={_ANY_MONTH}\s\d)"), lambda match: f"{match[1]} to "),
    Rule(
        "month",
        re.compile(r"(?<![\d/.,])(?P<m>0?[1-9]|1[0-2])/(?P<year>(?:19|20)\d\d)(?![\d/])"),
        lambda match: f"{_MONTHS[int(match['m']) - 1]} {year(match['year'])}",
        "/",
    ),
    Rule(
        "date",
        re.compile(rf"(?<![\d-]){_YEAR}-(?P<m>0[1-9]|1[0-2])-(?P<day>0[1-9]|[12]\d|3[01])(?P<t>T(?=\d\d:))?(?![\d-])"),
        _iso,
        "-",
    ),
    Rule("date", re.compile(rf"(?<![\d/]){_YEAR}/{_M_D}/{_DAY}(?P<t>)(?![\d/])"), _iso, "/"),
    Rule(
        "date",
        re.compile(
            r"(?<![\d./-])(?P<a>\d{1,2})(?P<sep>[/.-])(?P<b>\d{1,2})(?P=sep)(?P<year>[12]\d{3}|\d\d)(?![\d./-]*\d)"
        ),
        _numeric,
        "/.-",
    ),
    Rule("date", re.compile(rf"(?:{ON}){_M_D}/(?P<day>0?[1-9]|[12]\d|3[01])(?![\d/])"), _in_year, "/"),
    Rule(
        "date",
        re.compile(
            rf"\b{_MONTH}\s{_DAY}(?:st|nd|rd|th)?(?:{TO}(?P<last>[12]\d|3[01]"
            rf"|[1-9])(?:st|nd|rd|th)?)?(?![\d:]|\.\d|,\d)(?:,?\s{_YEAR}(?![\d,]"
            rf"))?"
        ),
        _month_first,
    ),
    Rule(
        "date",
        re.compile(
            rf"(?P<the>\b[Tt]he\s)?(?<![\d.,:/$-]){_DAY}(?:st|nd|rd|th)?\s(?:of\s)?{_MONTH}(?:,?\s{_YEAR}(?![\d,]))?"
        ),
        _day_first,
    ),
    Rule(
        "month",
        re.compile(rf"\b{_MONTH}\.?,?\s(?P<year>[12]\d{{3}})(?![\d,])"),
        lambda m: f"{_month(m['month'])} {year(m['year'])}",
    ),
    Rule(
        "years",
        re.compile(
            r"(?<![\d.,$£€-])((?:1[1-9]|20)\d\d)\s?[-\u2010-\u2014]\s?((?:1[1-9]|20)\d\d|\d\d)(?![\d-]|\s?%|[a-zA-Z])"
        ),
        _years,
    ),
    Rule(
        "years",
        re.compile(r"(?<![\d.,$£€/])(20\d\d|19\d\d)/(\d\d)(?![\d/])"),
        lambda match: f"{year(match[1])} {cardinal(match[2])}",
        "/",
    ),
    Rule("decade", re.compile(r"(?<![\d.,$£€])((?:1\d|20)\d0)s(?: (and|or|to) |[-\u2013])([1-9]0)s\b"), _decades, "s"),
    Rule("decade", re.compile(rf"\b([2-9]0)s(?=\s(?:{_OF_A_DECADE})\b)"), lambda match: decade(match[1]), "s"),
    Rule("decade", re.compile(r"(?<![\d.,$£€])((?:1\d|20)\d0)'?s\b"), lambda match: decade(match[1]), "s"),
    Rule("decade", re.compile(r"(?<!\w)['\u2019]([1-9]0)s\b"), lambda match: decade(match[1]), "'\u2019"),
    Rule(
        "decade",
        re.compile(
            r"(?:(?<=\bthe )|(?<=\b[Tt]he )|(?<=his )|(?<=her )|(?<=heir )"
            r"|(?<=\bmy )|(?<=arly )|(?<=late )|(?<=mid )|(?<=mid-)|(?<=\bmid)"
            r")([1-9]0)'?s\b"
        ),
        lambda match: decade(match[1]),
        "s",
    ),
    Rule(
        "year",
        re.compile(r"(?<!\w)['\u2019](\d\d)(?![\d'\u2019\"])\b"),
        lambda match: f"oh {cardinal(match[1][1])}" if match[1][0] == "0" else cardinal(match[1]),
        "'\u2019",
    ),
    Rule(
        "year",
        re.compile(r"(?:(?<=in )|(?<=year )|(?<=since ))([1-9]\d{3})(?![\d,%]|\.\d|\s(?:people|times|of|or)\b)"),
        lambda match: year(match[1]),
    ),
)
TIMES = (
    Rule(
        "time",
        re.compile(r"(?<![\w.,:])(0?)(1?\d|2[0-3])00(?=\shours\b)"),
        lambda match: f"{'oh ' if match[1] else ''}{cardinal(match[2])} hundred",
        "0",
    ),
    Rule(
        "time",
        re.compile(rf"(?<=\d[ap]m){TO}(?=noon\b|midnight\b|midday\b)", re.IGNORECASE),
        lambda _: " to ",
        _DASHES,
    ),
    Rule(
        "time",
        re.compile(r"(?<![\w.,])(\d{1,2})h\s?([0-5]?\d)m(?:in)?\b"),
        lambda match: f"{counted(plain(match[1]), 'hour')} {counted(plain(match[2]), 'minute')}",
        "h",
    ),
    Rule(
        "time", re.compile(rf"(?:(?<=\d[ap]m)|(?<=\d [ap]m)|(?<=[ap]\.m\.)){TO}(?=\d)", re.IGNORECASE), lambda _: " to "
    ),
    Rule(
        "time",
        re.compile(
            rf"(?<![\w:.])(?P<hour>[01]?\d|2[0-4]):(?P<minute>[0-5]\d)(?::(?"
            rf"P<second>[0-5]\d)(?:\.\d+)?)?{_HALF}?(?![\d:])"
        ),
        _clock,
        ":",
    ),
    Rule(
        "time", re.compile(rf"(?<![\w:.,])(?:(?P<first>\d{{1,2}}){TO})?(?P<hour>1[0-2]|0?[1-9]){_HALF}(?!\w)"), _hours
    ),
)
