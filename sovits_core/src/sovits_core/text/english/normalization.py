"""English text as it is spoken: letters, apostrophes, hyphens and the marks . , ! ? - remain."""

from __future__ import annotations

import re

from sovits_core.text.english.abbreviations import ABBREVIATIONS
from sovits_core.text.english.capitals import ROMAN, read_capitals
from sovits_core.text.english.codes import CODES, LETTERS_AND_DIGITS
from sovits_core.text.english.dates import DATES, NAMES, TIMES
from sovits_core.text.english.measures import MEASURES
from sovits_core.text.english.money import MONEY
from sovits_core.text.english.numbers import NUMBER, bare_number, cardinal, hundreds, ordinal, quantity
from sovits_core.text.english.signs import FIRST, LAST, fold, name_signs, one_mark, straighten
from sovits_core.text.english.sums import COMPARISONS, FRACTIONS, RANGES, SUMS
from sovits_core.text.spans import Rule, SpannedText

_DIGITS = "0123456789⁰¹²³⁴⁵⁶⁷⁸⁹"
# Nouns that are counted: a number before one of these is no year.
_COUNTED = (
    r"\s(?:people|men|women|children|students|times|miles|kilometers|"
    r"meters|feet|years|days|hours|minutes|seconds|pages|"
    r"words|books|copies|members|employees|users|visitors|votes|points|"
    r"items|cars|houses|units|jobs|soldiers|deaths|cases)\b"
)
_NUMBERS = (
    Rule("number", re.compile(r"(?<![\w.,])(\d{1,3})ish\b"), lambda match: f"{cardinal(match[1])}ish"),
    Rule(
        "ordinal", re.compile(r"(?<![\w.])(\d[\d,]*)(?:st|nd|rd|th)\b", re.IGNORECASE), lambda match: ordinal(match[1])
    ),
    Rule("number", re.compile(rf"(?<![\w.])([-+])?({NUMBER})(?={_COUNTED})"), lambda match: _signed(match, hundreds)),
    Rule("number", re.compile(rf"(?<![\w.])([-+])?({NUMBER})"), lambda match: _signed(match, bare_number)),
    # What is left stands inside a word or a row with points.
    Rule("number", re.compile(r"\d+"), lambda match: f" {cardinal(match[0])} "),
)
# The order matters: what is written in a longer form is recognised before its parts are.
_BEFORE_DIGITS = (*FIRST, *CODES, *ABBREVIATIONS, *ROMAN)
_WITHOUT_DIGITS = (*NAMES, SUMS[0]._replace(needs="=≤≥≈≠"))  # < and > are brackets more often
_OF_DIGITS = (
    *DATES,
    *NAMES,
    *TIMES,
    *SUMS[:1],
    *COMPARISONS,
    *MONEY,
    *FRACTIONS,
    *MEASURES,
    *RANGES[:2],
    *SUMS[1:],
    *RANGES[2:],
    *LETTERS_AND_DIGITS,
    *_NUMBERS,
)
_SPACES = re.compile(r"\s+")
_UNSPOKEN = re.compile(r"[^A-Za-z' .,!?\ue000-\uf8ff-]")
_BEFORE_MARK = re.compile(r"\s+(?=[.,!?])")
# The dictionary has these as one word each.
_COMPOUND_NUMBER = re.compile(
    r"\b(twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety) "
    r"(?=(?:one|two|three|four|five|six|seven|eight|nine|first|second|third|fourth|fifth|sixth|seventh|eighth|ninth)\b)"
)
_ALONE = re.compile(r"^\W*A\W*$")


def _signed(match: re.Match[str], say: object) -> str:
    sign = {"-": "negative ", "+": "plus "}.get(match[1] or "", "")
    number = match[2]
    if "." in number or not callable(say):
        return sign + quantity(number)
    return sign + (cardinal(number) if sign else str(say(number)))


def normalize(text: SpannedText) -> SpannedText:
    """Write out what is no word."""
    text = fold(text)
    text = text.sub(_ALONE, lambda _: "Ay")  # alone it is no article
    text = text.apply(_BEFORE_DIGITS, apart=True)
    if any(digit in text.text for digit in _DIGITS):
        text = text.apply(_OF_DIGITS, apart=True)
    else:
        text = text.apply(_WITHOUT_DIGITS)
    text = name_signs(straighten(text).apply(LAST))
    text = read_capitals(text)
    text = text.sub(_UNSPOKEN, lambda _: " ")
    text = one_mark(text)
    text = text.sub(_SPACES, lambda _: " ").sub(_COMPOUND_NUMBER, lambda match: f"{match[1]}-")
    return text.sub(_BEFORE_MARK, lambda _: "").strip(" ,")
