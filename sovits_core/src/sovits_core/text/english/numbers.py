"""Numbers in English text as words: money, years, ordinals, fractions, decimals, times of day."""

from __future__ import annotations

import re
from functools import cache

import inflect

# Longer rows of digits are codes, not quantities, and are read digit by digit.
_LONGEST_QUANTITY = 15
_CURRENCIES = {"$": ("dollar", "cent"), "£": ("pound", "penny"), "€": ("euro", "cent"), "¥": ("yen", "")}
_MONEY = re.compile(r"([$£€¥])\s?(\d[\d,]*)(?:\.(\d+))?(?:\s(thousand|million|billion|trillion))?")
_TIME = re.compile(r"\b([01]?\d|2[0-3]):([0-5]\d)(?:\s?([ap])\.?m\b\.?)?", re.IGNORECASE)
_ORDINAL = re.compile(r"\b(\d[\d,]*)(?:st|nd|rd|th)\b", re.IGNORECASE)
_FRACTION = re.compile(r"\b(\d{1,3})/(\d{1,3})\b")
_NUMBER = re.compile(r"(?<![\w.])(-)?(\d[\d,]*)(\.\d+)?")
_DIGITS = re.compile(r"\d")


def spell_numbers(text: str) -> str:
    """Replace every number by its words, in the way the official front end reads them."""
    text = _MONEY.sub(_money, text)
    text = _TIME.sub(_time, text)
    text = _ORDINAL.sub(lambda match: _ordinal(_whole(match[1])), text)
    text = _FRACTION.sub(_fraction, text)
    text = re.sub(r"(\d)-(?=\d)", r"\1 to ", text)
    text = _NUMBER.sub(_number, text)
    # What is left stands inside a word, such as B12.
    return _DIGITS.sub(lambda match: f" {_words(match[0])} ", text)


@cache
def _engine() -> inflect.engine:
    return inflect.engine()


def _words(number: str, zero: str = "zero", group: int = 0) -> str:
    words = _engine().number_to_words(number, andword="", zero=zero, group=group)
    assert isinstance(words, str)  # noqa: S101 -- a list only comes with wantlist
    return words.replace(", ", " ")


def _whole(digits: str) -> str:
    return digits.replace(",", "").lstrip("0") or "0"


def _cardinal(digits: str) -> str:
    """Read a whole number; four digits between 1000 and 3000 in pairs, as a year or a round count."""
    plain = digits.replace(",", "")
    if len(plain) > _LONGEST_QUANTITY or (len(plain) > 1 and plain[0] == "0"):
        return " ".join(_words(digit) for digit in plain)
    value = int(plain)
    if 1000 < value < 3000:
        if value == 2000:
            return "two thousand"
        if 2000 < value < 2010:
            return f"two thousand {_words(str(value % 100))}"
        if value % 100 == 0:
            return f"{_words(str(value // 100))} hundred"
        return _words(plain, zero="oh", group=2)
    return _words(plain)


def _ordinal(digits: str) -> str:
    if len(digits) > _LONGEST_QUANTITY:
        return _cardinal(digits)
    words = _engine().ordinal(_words(digits))
    return str(words)


def _number(match: re.Match[str]) -> str:
    whole = match[2].rstrip(",")
    trailing = match[2][len(whole) :]
    words = _cardinal(whole)
    if match[3]:
        # A decimal is a quantity, never a year.
        words = _words(_whole(whole)) if len(whole) <= _LONGEST_QUANTITY else words
        words += " point " + " ".join(_words(digit) for digit in match[3][1:])
    return ("negative " if match[1] else "") + words + trailing


def _money(match: re.Match[str]) -> str:
    unit, part = _CURRENCIES[match[1]]
    whole, decimals, scale = match[2].rstrip(","), match[3] or "", match[4]
    trailing = match[2][len(whole) :]
    if scale:
        return f"{_number_words(whole, decimals)} {scale} {_plural(unit, 2)}{trailing}"
    if len(decimals) > 2 or (decimals and not part):
        return f"{_number_words(whole, decimals)} {_plural(unit, 2)}{trailing}"
    amount, cents = int(_whole(whole)), int(decimals.ljust(2, "0")) if decimals else 0
    named = []
    if amount or not cents:
        named.append(f"{_cardinal(whole)} {_plural(unit, amount)}")
    if cents:
        named.append(f"{_words(str(cents))} {_plural(part, cents)}")
    return " and ".join(named) + trailing


def _number_words(whole: str, decimals: str) -> str:
    words = _words(_whole(whole))
    return words + (" point " + " ".join(_words(digit) for digit in decimals) if decimals else "")


def _plural(unit: str, amount: int) -> str:
    irregular = {"penny": "pence", "yen": "yen"}
    return unit if amount == 1 else irregular.get(unit, f"{unit}s")


def _time(match: re.Match[str]) -> str:
    minutes = match[2]
    words = _words(_whole(match[1]))
    if minutes == "00":
        words += "" if match[3] else " o'clock"
    else:
        words += (" oh " if minutes[0] == "0" else " ") + _words(_whole(minutes))
    return words + (f" {match[3].upper()} M".replace(" A ", " Ay ") if match[3] else "")


def _fraction(match: re.Match[str]) -> str:
    above, below = int(match[1]), int(match[2])
    if below < 2:
        return f"{_words(match[1])} over {_words(match[2])}"
    name = {2: "half", 4: "fourth"}.get(below) or _ordinal(str(below))
    if above != 1:
        name = "halves" if name == "half" else f"{name}s"
    return f"{_words(str(above))} {name}"
