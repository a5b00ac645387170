"""Telephone numbers, versions, addresses and other rows of digits in Chinese text that are called out."""

from __future__ import annotations

import re
from re import Match

from sovits_core.text.chinese.numbers import cardinal, digit_by_digit
from sovits_core.text.spans import DIGITS, Rule, Say

_ENDS = r"(?!\d|\.\d)"
_STARTS = r"(?<![\d.-])"


def _mobile(match: Match[str]) -> str:
    country = "八六," if match[1] else ""
    return country + digit_by_digit(match[2] + match[3] + match[4], one="幺")


def _telephone(match: Match[str]) -> str:
    return ",".join(digit_by_digit(part, one="幺") for part in match.groups() if part)


def _groups(match: Match[str]) -> str:
    return ",".join(digit_by_digit(part, one="幺") for part in re.split(r"[- ]", match[0].lstrip("+")))


def _called_out(match: Match[str]) -> str:
    return digit_by_digit(match[0], one="幺")


def _points(match: Match[str]) -> str:
    """Say short parts as numbers (十四点零点一), and all digits where one part is long, as in an address."""
    parts = match[0].split(".")
    if any(len(part) > 2 or (len(part) > 1 and part[0] == "0") for part in parts):
        return "点".join(map(digit_by_digit, parts))
    return "点".join(map(cardinal, parts))


def _rule(name: str, pattern: str, say: Say, needs: str = DIGITS) -> Rule:
    return Rule(name, re.compile(pattern, re.ASCII), say, needs)


# Before quantities are looked at.
CODES = (
    _rule("telephone number", rf"(?<![\d.])(\+?86[- ]?)?(1[3-9]\d)[- ]?(\d{{4}})[- ]?(\d{{4}}){_ENDS}", _mobile),
    _rule("telephone number", rf"(?<![\w.])\+\d{{1,3}}(?:[- ]\d{{1,8}}){{2,4}}{_ENDS}", _groups, "+"),
    _rule("telephone number", rf"\((0\d{{2,3}})\)\s?(\d{{3,4}})[- ]?(\d{{4}}){_ENDS}", _telephone, "("),
    _rule("telephone number", rf"{_STARTS}(0\d{{2,3}})[- ]([1-9]\d{{2,3}})[- ](\d{{4}}){_ENDS}", _telephone, "- "),
    _rule("telephone number", rf"{_STARTS}(0(?:10|2\d|[3-9]\d\d))[- ]?([1-9]\d{{6,7}}){_ENDS}", _telephone),
    _rule("telephone number", rf"{_STARTS}([48]00)-?(\d{{3}})-?(\d{{4}}){_ENDS}", _telephone),
    _rule("number by digits", r"(?<=[号码]:)\d{4,}(?:-\d+)*|(?<=[号码]是)\d{4,}(?:-\d+)*", _called_out),
    _rule("number by digits", r"(?<!\d)\d{2,4}(?=次(?:列车|动车|高铁|航班))", _called_out, "次"),
)
# What quantities have left.
CODES_LEFT = (_rule("version", r"(?<![\d.])\d++(?:\.\d++){2,}+", _points, "."),)
