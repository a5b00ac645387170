"""Chinese numerals: how digits are said as a quantity, one by one, or as a fraction of something."""

from __future__ import annotations

_DIGITS = "零一二三四五六七八九"
_SMALL_UNITS = ("", "十", "百", "千")
# Each group of four digits carries one of these; 10^16 and above are read digit by digit.
_LARGE_UNITS = ("", "万", "亿", "万亿")
_GROUP = 4
MOST_DIGITS = _GROUP * len(_LARGE_UNITS)


def digit_by_digit(digits: str, *, one: str = "一") -> str:
    """Return each digit's name; `one` is "幺" where numbers are dialled or called out. Other characters stay."""
    return "".join(_DIGITS[int(digit)] if digit.isdecimal() else digit for digit in digits).replace("一", one)


def cardinal(digits: str) -> str:
    """Return a whole number, given in ASCII digits, as a quantity: "1050" is 一千零五十, "12" is 十二."""
    digits = digits.lstrip("0") or "0"
    if len(digits) > MOST_DIGITS:
        return digit_by_digit(digits)
    if digits == "0":
        return "零"
    spoken = ""
    skipped = False  # a zero between spoken digits is said once
    groups = [digits[max(0, end - _GROUP) : end] for end in range(len(digits), 0, -_GROUP)]
    for index in reversed(range(len(groups))):
        group = groups[index]
        if not int(group):
            skipped = True
            continue
        for place, digit in zip(reversed(range(len(group))), group, strict=True):
            if digit == "0":
                skipped = True
                continue
            spoken += ("零" if skipped and spoken else "") + _DIGITS[int(digit)] + _SMALL_UNITS[place]
            skipped = False
        # Of a 万亿 that another 亿 follows only the 万 is said: 一万零二亿.
        spoken += _LARGE_UNITS[index][: 1 if index and int(groups[index - 1]) else None]
    return spoken[1:] if spoken.startswith("一十") else spoken


def number(text: str) -> str:
    """Return a signed decimal number ("-12.50"): 负十二点五零. Of several zeros at its end one is said."""
    sign = "负" if text.startswith("-") else ""
    whole, _, decimals = text.lstrip("-").partition(".")
    if not decimals:
        return sign + cardinal(whole)
    if decimals.endswith("0"):
        decimals = decimals.rstrip("0") + "0"
    return f"{sign}{cardinal(whole or '0')}点{digit_by_digit(decimals)}"
