"""Sums, powers, fractions, ranges, ratios and dimensions in English text."""

# ruff: noqa: RUF001 -- the signs that people write
from __future__ import annotations

import re

from sovits_core.text.english.measures import signed
from sovits_core.text.english.numbers import (
    MAGNITUDES,
    NUMBER,
    TO,
    WHOLE,
    cardinal,
    hundreds,
    ordinal,
    quantity,
    short_code,
)
from sovits_core.text.spans import Rule

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_POWERS = {"2": "squared", "3": "cubed"}
_OPERATORS = {
    "+": "plus", "-": "minus", "\u2212": "minus", "\u2013": "minus", "*": "times", "×": "times", "·": "times",
    "÷": "divided by", "/": "divided by", "=": "equals", "<": "is less than", ">": "is greater than",
    "≤": "is less than or equal to", "≥": "is greater than or equal to", "≈": "is about", "≠": "is not equal to",
}  # fmt: skip
_COMPARISONS = "=<>≤≥≈≠"
_TERM = rf"[-\u2212(]*(?:{NUMBER}(?:[abknxyz](?![A-Za-z]))?|(?<![A-Za-z])[a-z](?![A-Za-z]))[⁰¹²³⁴⁵⁶⁷⁸⁹)]*"
_OPERATOR = re.compile(rf"\s*([-+*×·÷/{_COMPARISONS}\u2212\u2013])\s*(?=[-\w(.√π\u2212])")


_COEFFICIENT = re.compile(r"(\d)([a-z])\b")
_LETTER_A = re.compile(r"\ba\b")


def fraction(above: str, below: str) -> str:
    """Return a fraction: "3" and "4" are "three fourths"."""
    if int(below) < 2:
        return f"{cardinal(above)} over {cardinal(below)}"
    name = {2: "half", 4: "fourth"}.get(int(below)) or ordinal(below)
    if int(above) != 1:
        name = "halves" if name == "half" else f"{name}s"
    return f"{cardinal(above)} {name}"


def _sum(match: re.Match[str]) -> str:
    first, rest = match[0][:1], match[0][1:]
    sign = "minus " if first in "-\u2212" else first
    words = _OPERATOR.sub(lambda operator: f" {_OPERATORS[operator[1]]} ", rest).replace("-", "minus ")
    return _LETTER_A.sub("Ay", _COEFFICIENT.sub(r"\1 \2", sign + words))


def _power(match: re.Match[str]) -> str:
    exponent = match[1].translate(_SUPERSCRIPTS)
    return f" {_POWERS[exponent]} " if exponent in _POWERS else f" to the power of {signed(exponent)} "


def _dimension(number: str) -> str:
    return short_code(number) if number.isdigit() and len(number) == 4 else quantity(number)


def _multiple(match: re.Match[str]) -> str:
    return f"{quantity(match[1])} {'K' if match[2] in 'kK' else MAGNITUDES[match[2]]}"


def _product(match: re.Match[str]) -> str:
    return f"{match[1].upper()} {match[2].upper()} {'squared' if match[3] == '²' else 'cubed'}"


def _comparison(match: re.Match[str]) -> str:
    return "more than " if match[1] == ">" else "less than "


SUMS = (
    Rule(
        "sum",
        re.compile(
            rf"(?<![\w.$£€]){_TERM}(?:\s?[-+*×·÷/\u2212\u2013]\s?{_TERM}){{0,20}}\s?[{_COMPARISONS}]\s?{_TERM}(?!\w)"
        ),
        _sum,
        _COMPARISONS,
    ),
    Rule("sum", re.compile(rf"(?<![\w.$£€]){_TERM}(?:\s?[+*×·÷]\s?{_TERM}){{1,20}}(?!\w)"), _sum, "+*×·÷"),
    Rule("sum", re.compile(r"(?<=[⁰¹²³⁴⁵⁶⁷⁸⁹])\s?[-\u2212\u2013]\s?(?=\w)"), lambda _: " minus ", "⁰¹²³⁴⁵⁶⁷⁸⁹"),
    Rule("product", re.compile(r"(?<![A-Za-z])([a-z])([a-z])([²³])"), _product, "²³"),
    Rule("power", re.compile(r"(?<=[\w)])([⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+)"), _power, "⁰¹²³⁴⁵⁶⁷⁸⁹"),
    Rule("power", re.compile(r"(?<=[\w)])\^(-?\d+)"), _power, "^"),
)
COMPARISONS = (
    Rule("heart", re.compile(r"(?<=\bI )<3(?=\s)"), lambda _: "love", "<"),
    Rule("comparison", re.compile(r"(?<![\w<>=-])([<>])\s?(?=[$£€~]?\d)"), _comparison, "<>"),
)
FRACTIONS = (
    Rule(
        "fraction",
        re.compile(r"(?<![\d/.,])(\d+)[ -](\d{1,2})/(\d{1,3})(?![\d/])"),
        lambda match: f"{cardinal(match[1])} and {fraction(match[2], match[3])}",
        "/",
    ),
    Rule(
        "idiom",
        re.compile(
            r"(?<![\d/.])(24/7(?:/365)?|9/11|50/50|20/20|80/20|60/40|70/30|90/10)(?![\d/])|(?<![\d-])(50-50)(?![\d-])"
        ),
        lambda match: " ".join(map(cardinal, re.split("[-/]", match[0]))),
        "/-",
    ),
    Rule(
        "score",
        re.compile(r"(?<![\d/.,])(\d{1,3})/(100)(?![\d/])"),
        lambda match: f"{cardinal(match[1])} out of {cardinal(match[2])}",
        "/",
    ),
    Rule(
        "fraction",
        re.compile(r"(?<![\d/.,])(\d{1,3})/(\d{1,3})(?:st|nd|rd|ths?)?(?![\d/])"),
        lambda match: fraction(match[1], match[2]),
        "/",
    ),
)


def _duration(match: re.Match[str]) -> str | None:
    """Return minutes and seconds, 58:07 as "fifty-eight oh seven"; None for round parts of a hundred."""
    first, second = match[1], match[2]
    if int(first) + int(second) == 100 and int(first) % 5 == 0:
        return None
    return f"{cardinal(first)} {f'oh {cardinal(second[1])}' if second[0] == '0' else cardinal(second)}"


RANGES = (
    Rule(
        "dimensions",
        re.compile(rf"(?<![\w.]){NUMBER}(?:\s?[x×X]\s?{NUMBER}){{1,5}}(?![\w^⁰¹²³⁴⁵⁶⁷⁸⁹])"),
        lambda match: " by ".join(_dimension(part) for part in re.split(r"\s?[x×X]\s?", match[0])),
        "x×X",
    ),
    Rule(
        "duration",  # no time of day has such hours; 60:40 is a ratio
        re.compile(r"(?<![\w:.])(2[5-9]|[3-9]\d):([0-5]\d)(?![\w:])"),
        _duration,
        ":",
    ),
    Rule(
        "ratio",
        re.compile(r"(?<![\w:.])(\d{1,4}):(\d{1,4})(?![\w:])"),
        lambda match: f"{cardinal(match[1])} to {cardinal(match[2])}",
        ":",
    ),
    Rule(
        "range",
        re.compile(rf"(?<![\w.-])({WHOLE}(?:\.\d+)?){TO}({WHOLE}(?:\.\d+)?)(?![\d-]|\.\d)"),
        lambda match: f"{match[1]} to {match[2]}",
    ),
    Rule("magnitude", re.compile(rf"(?<![\w.])({NUMBER})\s?([kKM]|bn|mn)\b(?!-)"), _multiple),
    Rule(
        "at least",
        re.compile(rf"(?<![\w.])({NUMBER})\+(?!\w)"),
        lambda match: f"{hundreds(match[1]) if '.' not in match[1] else quantity(match[1])} plus",
        "+",
    ),
    Rule("about", re.compile(rf"(?<!\w)[~≈]\s?(?={NUMBER})"), lambda _: "about ", "~≈"),
)
