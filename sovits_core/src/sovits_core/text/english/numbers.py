"""English numbers as words: quantities, years, ordinals, decimals, and digits one by one."""

from __future__ import annotations

import re
from functools import lru_cache

from sovits_core.text.word_lists import word_list

# A whole number with or without separators (1,234 or, in India, 1,23,456), and one that may have decimals.
WHOLE = r"(?:\d{1,3}(?:,\d{3})+(?![\d])|\d{1,2}(?:,\d{2})+,\d{3}(?!\d)|\d+)"
NUMBER = rf"(?:{WHOLE}(?:\.\d+)?|\.\d+)"
# Between the ends of a range: a hyphen or dash, a wave.
TO = r"\s?[-\u2010-\u2014~]\s?"
MAGNITUDES = {"k": "thousand", "K": "thousand", "m": "million", "M": "million", "mn": "million", "mm": "million",
              "b": "billion", "B": "billion", "bn": "billion", "t": "trillion", "T": "trillion",
              "tn": "trillion"}  # fmt: skip
# Longer rows of digits are codes, not quantities, and are read digit by digit.
_LONGEST_QUANTITY = 15
_FIRST_YEAR, _LAST_YEAR = 1100, 2099
_IRREGULAR = {"foot": "feet", "inch": "inches", "penny": "pence", "yen": "yen", "won": "won", "yuan": "yuan",
              "baht": "baht", "hertz": "hertz", "gigahertz": "gigahertz",
              "megahertz": "megahertz", "kilohertz": "kilohertz", "terahertz": "terahertz",
              "percent": "percent"}  # fmt: skip


_ONES = word_list(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = word_list("twenty thirty forty fifty sixty seventy eighty ninety")
_THOUSANDS = ("", " thousand", " million", " billion", " trillion")
_ORDINALS = {"one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
             "twelve": "twelfth"}  # fmt: skip


def _below_hundred(value: int) -> str:
    if value < len(_ONES):
        return _ONES[value]
    return _TENS[value // 10 - 2] + (f"-{_ONES[value % 10]}" if value % 10 else "")


def _below_thousand(value: int) -> str:
    hundreds_, rest = divmod(value, 100)
    named = [f"{_ONES[hundreds_]} hundred"] if hundreds_ else []
    return " ".join([*named, *([_below_hundred(rest)] if rest or not named else [])])


@lru_cache(maxsize=4096)
def _words(number: str) -> str:
    """Return a whole number of at most fifteen digits: "1234" is "one thousand two hundred thirty-four"."""
    groups: list[str] = []
    value = int(number)
    for scale in _THOUSANDS:
        value, group = divmod(value, 1000)
        if group:
            groups.insert(0, _below_thousand(group) + scale)
    return " ".join(groups) or _ONES[0]


def plain(digits: str) -> str:
    """Return a whole number without separators and leading zeros."""
    return digits.replace(",", "").lstrip("0") or "0"


def one_by_one(digits: str) -> str:
    """Return the names of digits; what is no digit parts them: "555-12" is "five five five, one two"."""
    groups = ("".join(sign if sign.isdigit() else " " for sign in digits)).split()
    return ", ".join(" ".join(_words(digit) for digit in group) for group in groups)


def cardinal(digits: str) -> str:
    """Return a whole number as a quantity: "1,234" is "one thousand two hundred thirty-four"."""
    bare = digits.replace(",", "")
    if len(bare) > _LONGEST_QUANTITY or (len(bare) > 1 and bare[0] == "0"):
        return one_by_one(bare)
    return _words(bare)


def quantity(number: str) -> str:
    """Return a number with or without decimals as a quantity."""
    whole, point, decimals = number.partition(".")
    if not point:
        return cardinal(whole)
    named = _words(plain(whole)) if len(plain(whole)) <= _LONGEST_QUANTITY else one_by_one(whole.replace(",", ""))
    return f"{f'{named} ' if whole else ''}point {one_by_one(decimals)}"


def year(digits: str) -> str:
    """Return a year: "1999" is "nineteen ninety-nine", "2005" is "two thousand five"."""
    value = int(digits)
    if value % 1000 == 0 or 2000 < value < 2010 or not 1000 < value < 10000:
        return _words(str(value))
    if value % 100 == 0:
        return f"{_words(str(value // 100))} hundred"
    century, last = _words(digits[:2]), digits[2:]
    return f"{century} {f'oh {_words(last)}' if last[0] == '0' else _words(last)}"


def bare_number(digits: str) -> str:
    """Return a number that nothing is known of: four digits that may be a year are read as one."""
    if digits.isdigit() and digits[0] != "0" and (_FIRST_YEAR <= int(digits) <= _LAST_YEAR):
        return year(digits)
    return hundreds(digits)


def hundreds(digits: str) -> str:
    """Return a quantity, round ones between one and three thousand in hundreds, as the official front end does."""
    value = plain(digits)
    if len(value) == 4 and 1000 < int(value) < 3000 and int(value) % 100 == 0 and value != "2000":
        return f"{_words(str(int(value) // 100))} hundred"
    return cardinal(digits)


def decade(digits: str) -> str:
    """Return the plural of a year or of its last two digits: "1990" is "nineteen nineties"."""
    return plural_words(year(digits) if len(digits) == 4 else _words(digits))


def plural_words(words: str) -> str:
    """Return the plural of the last of some number words: "twenty" is "twenties"."""
    return f"{words[:-1]}ies" if words.endswith("y") else f"{words}{'es' if words.endswith('x') else 's'}"


@lru_cache(maxsize=4096)
def ordinal(digits: str) -> str:
    """Return "21" as "twenty-first"; longer numbers than quantities are read digit by digit."""
    bare = plain(digits)
    if len(bare) > _LONGEST_QUANTITY:
        return one_by_one(bare)
    head, last = re.fullmatch(r"(.*[ -])?(\w+)", _words(bare)).groups()  # type: ignore[union-attr]
    ending = _ORDINALS.get(last) or (f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th")
    return (head or "") + ending


def short_code(digits: str) -> str:
    """Return digits that stand in a name: up to two as a number, three as one and two, more one by one or in pairs."""
    if digits[0] == "0" or len(digits) > 4:
        return one_by_one(digits)
    if len(digits) == 3 and digits[1:] == "00":
        return _words(digits)
    if len(digits) == 4 and digits[2:] == "00":
        return _words(digits) if digits[1] == "0" else f"{_words(digits[:2])} hundred"
    if len(digits) > 2:
        head, tail = digits[:-2], digits[-2:]
        return f"{_words(head)} {f'oh {_words(tail[1])}' if tail[0] == '0' else _words(tail)}"
    return _words(digits)


def plural(noun: str) -> str:
    """Return the plural of a noun, before a "per" or after an adjective ("square foot") if there is one."""
    thing, per, rest = noun.partition(" per ")
    if thing.startswith("degree "):
        return noun.replace("degree", "degrees", 1)
    head, space, last = thing.rpartition(" ")
    last = _IRREGULAR.get(last, f"{last}{'es' if last.endswith(('s', 'x', 'ch')) else 's'}")
    return f"{head}{space}{last}{per}{rest}"


def counted(number: str, noun: str) -> str:
    """Return a quantity of something: "1" and "mile" are "one mile"."""
    return f"{quantity(number)} {noun if number in {'1', '-1'} else plural(noun)}"
