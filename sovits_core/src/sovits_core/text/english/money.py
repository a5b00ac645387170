"""Amounts of money in English text."""

from __future__ import annotations

import re

from sovits_core.text.english.numbers import (
    MAGNITUDES,
    NUMBER,
    TO,
    cardinal,
    hundreds,
    plain,
    plural,
    quantity,
)
from sovits_core.text.spans import Rule

# Sign -> the currency and its hundredth part.
_SIGNS = {
    "$": ("dollar", "cent"), "£": ("pound", "penny"), "€": ("euro", "cent"), "¥": ("yen", ""), "₩": ("won", ""),
    "₹": ("rupee", "paisa"), "₽": ("ruble", "kopeck"), "₺": ("lira", ""), "₿": ("bitcoin", ""), "฿": ("baht", ""),
    "US$": ("U S dollar", "cent"), "A$": ("Australian dollar", "cent"), "AU$": ("Australian dollar", "cent"),
    "C$": ("Canadian dollar", "cent"), "CA$": ("Canadian dollar", "cent"), "HK$": ("Hong Kong dollar", "cent"),
    "NZ$": ("New Zealand dollar", "cent"), "S$": ("Singapore dollar", "cent"), "R$": ("real", "centavo"),
}  # fmt: skip
_CODES = {
    "USD": "U S dollar", "EUR": "euro", "GBP": "pound", "JPY": "yen", "CNY": "yuan", "RMB": "yuan", "KRW": "won",
    "INR": "rupee", "CHF": "Swiss franc", "CAD": "Canadian dollar", "AUD": "Australian dollar",
    "HKD": "Hong Kong dollar", "BTC": "bitcoin",
}  # fmt: skip
_SIGN = "|".join(re.escape(sign) for sign in sorted(_SIGNS, key=len, reverse=True))
_AFTER = "|".join([*"€£¥₩₹₽¢", *(rf"{code}\b" for code in _CODES)])
_MAGNITUDE = r"thousand|million|billion|trillion|bn|mn|tn|[kKmMbBtT]"


def _scale(group: str) -> str:
    return rf"(?:\s?(?P<{group}>{_MAGNITUDE})\b)?"


def _scaled(number: str, scale: str | None) -> str:
    return quantity(number) + (f" {MAGNITUDES.get(scale, scale)}" if scale else "")


# Behind an article money stands before a noun: a twenty dollar bill, a ten-year, fifty million dollar plan.
_ARTICLE = re.compile(r"\b[Aa]n?\s(?:\d+-[a-z]+,?\s)?$")
_NOUN = re.compile(r"\s[a-z]{3}")


def _money(match: re.Match[str]) -> str:
    unit, part = _SIGNS[match["sign"]]
    before = match.string[max(0, match.start() - 24) : match.start()]
    if (
        _ARTICLE.search(before)
        and _NOUN.match(match.string, match.end())
        and (match["scale"] or match["scale_to"] or "." not in match["number"])
    ):
        last = f" to {_scaled(match['to'], match['scale_to'])}" if match["to"] else ""
        return f"{_scaled(match['number'], match['scale'])}{last} {unit}"
    if match["to"]:
        last = _amount(match["to"], match["scale_to"], unit, part)
        return f"{_scaled(match['number'], match['scale'])} to {last}"
    minus = "minus " if match["minus"] or match["inner_minus"] else ""
    return minus + _amount(match["number"], match["scale"], unit, part)


def _amount(number: str, scale: str | None, unit: str, part: str) -> str:
    whole, _, decimals = number.partition(".")
    if scale or len(decimals) > 2 or (decimals and not part):
        return f"{_scaled(number, scale)} {_plural(unit)}"
    amount, cents = int(plain(whole)), int(decimals.ljust(2, "0")) if decimals else 0
    named = []
    if amount or not cents:
        named.append(f"{hundreds(whole)} {unit if amount == 1 else _plural(unit)}")
    if cents:
        named.append(f"{cardinal(str(cents))} {part if cents == 1 else plural(part)}")
    return " and ".join(named)


def _plural(unit: str) -> str:
    head, space, last = unit.rpartition(" ")
    return f"{head}{space}{plural(last)}"


def _named(match: re.Match[str]) -> str:
    name = match["name"]
    if name in _SIGNS and not match["scale"]:
        return _amount(match["number"], None, *_SIGNS[name])
    unit = _CODES.get(name) or ("cent" if name == "¢" else _SIGNS[name][0])
    words = _scaled(match["number"], match["scale"])
    return f"{words} {unit if words == 'one' else _plural(unit)}"


MONEY = (
    Rule("money", re.compile(r"\bRs\.?\s?(?=\d)"), lambda _: "₹", "R"),
    Rule(
        "money",
        re.compile(
            rf"(?P<minus>(?<!\w)[-\u2212])?(?<![A-Za-z])(?P<sign>{_SIGN})(?P<inner_minus>[-\u2212])?\s?"
            rf"(?P<number>{NUMBER}){_scale('scale')}"
            rf"(?:{TO}(?:{_SIGN})?(?P<to>{NUMBER}){_scale('scale_to')}(?![\w/-]))?"
        ),
        _money,
        "$£€¥₩₹₽₺₿฿",
    ),
    Rule("money", re.compile(rf"(?<![\w.])(?P<number>{NUMBER}){_scale('scale')}\s?(?P<name>{_AFTER})"), _named),
    Rule("money", re.compile(rf"\b(?P<name>{'|'.join(_CODES)})\s?(?P<number>{NUMBER}){_scale('scale')}"), _named),
)
