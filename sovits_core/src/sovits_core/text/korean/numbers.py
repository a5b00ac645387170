"""Numbers, signs and Latin letters in Korean text, as they are spoken."""

# ruff: noqa: RUF001 -- the signs that people write
from __future__ import annotations

import re

from sovits_core.text.invisible import fold
from sovits_core.text.korean.units import COUNTED, CURRENCIES, GREEK, LETTERS, NOT_COUNTED, SIGNS, SPEEDS, UNITS
from sovits_core.text.roman import to_figures
from sovits_core.text.spans import DIGITS, Rule, SpannedText

# Everything takes its plain width but the ellipsis, and the letters that stand alone, as in laughter.
_UNFOLDED = frozenset("…" + "".join(map(chr, range(0x3131, 0x318F))))
_DIGITS = "영일이삼사오육칠팔구"
_PLACES = ("", "십", "백", "천")
_MYRIADS = ("", "만", "억", "조", "경")
# Longer rows of digits are codes, which are read digit by digit.
_LONGEST_QUANTITY = 16
_ONES = ("", "한", "두", "세", "네", "다섯", "여섯", "일곱", "여덟", "아홉")
_TENS = ("", "열", "스물", "서른", "마흔", "쉰", "예순", "일흔", "여든", "아흔")
_MOST_COUNTED = 99
_COUNT = re.compile(
    rf"(?<![\d.])(?:(?P<first>\d{{1,2}})[~\-])?(?P<number>\d{{1,2}})"
    rf"(?P<gap>\s?)(?!{'|'.join(map(re.escape, NOT_COUNTED))})"
    rf"(?P<noun>{'|'.join(map(re.escape, sorted(COUNTED, key=len, reverse=True)))})"
)
_TIME = re.compile(r"(?<![\d:])([01]?\d|2[0-4]):([0-5]\d)(?::([0-5]\d))?(?![\d:])")
_DATE = re.compile(r"(?<![\d./-])(\d{4})([./-])\s?(\d{1,2})\2\s?(\d{1,2})\.?(?![\d/-])")
_DAY = re.compile(r"(?<![\d./])(1[0-2]|0?[1-9])/(3[01]|[12]\d|0?[1-9])(?=\s?\(|에|일|부터|까지)(?![\d/])")
_CODE = re.compile(r"(?<![\d-])\+?\d+(?:-\d+){2,}(?![\d-])|(?<![\d-])1[56]\d\d-\d{4}(?![\d-])|(?<![\d.,])0\d+(?![\d.])")
_NUMBER = re.compile(r"(?<![\w.])([-+])?(\d+)(?:\.(\d+))?|(\d+)(?:\.(\d+))?")
_MONEY = re.compile(r"(US\$|USD|KRW|[$₩¥€£])\s?(?:(\d+(?:\.\d+)?)\s?[~-]\s?)?(\d+(?:\.\d+)?)([만억조천백]*)원?")
_SPEED = re.compile(rf"(\d+(?:\.\d+)?)\s?({'|'.join(SPEEDS)})(?![A-Za-z])")
_UNIT = re.compile(rf"(?<=\d)\s?({'|'.join(sorted(map(re.escape, UNITS), key=len, reverse=True))})(?![A-Za-z\d])")


def spell_out(text: SpannedText) -> SpannedText:
    """Write numbers, signs and Latin letters in Hangul; white space becomes single spaces."""
    text = to_figures(text.translate(_BEFORE_FOLDING)).sub(_POWER, _power, "power")
    text = (
        fold(text, _UNFOLDED)
        .translate({"\u2044": "/"})
        .sub(_DOTS, lambda _: "…")
        .apply(_RULES)
        .sub(_EQUALS, _topic, "sum")
        .translate(SIGNS, "sign")
    )
    text = text.translate(GREEK | {letter.upper(): name for letter, name in GREEK.items()}, "sign")
    text = text.sub(_LATIN, lambda match: LETTERS[match[0].lower()], "letter")
    text = text.sub(_ROW_OF_MARKS, lambda match: match[0][0])
    return text.sub(_PICTURES, lambda _: "").sub(_SPACES, lambda _: " ").strip()


def _power(match: re.Match[str]) -> str:
    return {"²": " 제곱", "³": " 세제곱"}[match[0]]


def _digit_by_digit(match: re.Match[str]) -> str:
    return "".join(_DIGITS[int(digit)] for digit in match[0] if digit.isdigit())


def _compared(match: re.Match[str]) -> str:
    first = _quantity(match[1])
    topic = "은" if (ord(first[-1]) - 0xAC00) % 28 else "는"
    return f"{first}{topic} {_quantity(match[3])}보다 {'크다' if match[2] == '>' else '작다'}"


def _each(match: re.Match[str]) -> str:
    return f"{UNITS.get(match[2], match[2])}당 {match[1]}원"


def _topic(match: re.Match[str]) -> str:
    """Say the equals sign as the particle that fits: 은 after a consonant, 는 after a vowel."""
    before = match.string[match.start() - 1 : match.start()]
    closed = "\uac00" <= before <= "\ud7a3" and (ord(before) - 0xAC00) % 28
    return "은 " if closed else "는 "


def _date(match: re.Match[str]) -> str:
    return f"{match[1]}년 {int(match[3])}월 {int(match[4])}일"


def _time(match: re.Match[str]) -> str:
    second = f" {int(match[3])}초" if match[3] else ""
    return f"{int(match[1])}시" + ("" if match[2] == "00" and not second else f" {int(match[2])}분") + second


def _money(match: re.Match[str]) -> str:
    first = f"{match[2]}에서 " if match[2] else ""
    return f"{first}{match[3]}{match[4]}{CURRENCIES[match[1]]}"


def _code(match: re.Match[str]) -> str:
    country = "플러스 " if match[0][0] == "+" else ""
    return country + " ".join(map(_digits, match[0].lstrip("+").split("-")))


def _count(match: re.Match[str]) -> str | None:
    native = _native(int(match["number"]), match["noun"])
    if native is None:
        return None
    first = ""
    if match["first"]:
        first = f"{_native(int(match['first']), match['noun']) or match['first']}에서 "
    return f"{first}{native}{match['gap']}{match['noun']}"


def _native(number: int, noun: str) -> str | None:
    if number == 0 or (noun == "시" and number > 12):
        return None
    return "스무" if number == 20 else _TENS[number // 10] + _ONES[number % 10]


def _number(match: re.Match[str]) -> str:
    sign = {"-": "마이너스 ", "+": "플러스 "}.get(match[1] or "", "")
    whole, decimals = match[2] or match[4], match[3] or match[5]
    words = _quantity(whole) if len(whole) <= _LONGEST_QUANTITY else _digits(whole)
    return sign + words + (f" 점 {_decimal_digits(decimals)}" if decimals else "")


def _quantity(digits: str) -> str:
    """Return a whole number in the numbers from Chinese: groups of four digits, each with its myriad."""
    groups = []
    rest = digits.lstrip("0")
    while rest:
        groups.append(rest[-4:])
        rest = rest[:-4]
    words = []
    for power, group in reversed(list(enumerate(groups))):
        if found := _group(group):
            # 10,000 is "man", not "one man".
            words.append(("" if found == "일" and power == 1 and power == len(groups) - 1 else found) + _MYRIADS[power])
    return " ".join(words) or "영"


def _group(digits: str) -> str:
    words = ""
    for place, digit in zip(range(len(digits) - 1, -1, -1), digits, strict=True):
        if digit != "0":
            words += ("" if digit == "1" and place else _DIGITS[int(digit)]) + _PLACES[place]
    return words


def _digits(digits: str) -> str:
    # In codes zero is "gong".
    return "".join("공" if digit == "0" else _DIGITS[int(digit)] for digit in digits)


def _ordinal(match: re.Match[str]) -> str:
    return _quantity(match[1]) + (f"에서 {_quantity(match[2])}" if match[2] else "")


def _score(match: re.Match[str]) -> str:
    return f"{_quantity(match[1])} 대 {_quantity(match[2])}"


def _fraction(match: re.Match[str]) -> str:
    return f"{_quantity(match[2])}분의 {_quantity(match[1])}"


def _decimal_digits(digits: str) -> str:
    return "".join(_DIGITS[int(digit)] for digit in digits)


# The wave has several code points; a numeral that is one character becomes figures.
_BEFORE_FOLDING = {"\uff0c": "、", "\u223c": "~", "\u301c": "~", "\u2236": ":"}
_POWER = re.compile(r"(?<=\d)[²³]")
# Of a row of marks the first is heard, as in Chinese.
_ROW_OF_MARKS = re.compile(r"[!?…][!?….]+")
_DAYS_OF_WEEK = "월화수목금토일"
_DOTS = re.compile(r"\.{3,}")
_EQUALS = re.compile(r"\s*=\s*")
_PICTURES = re.compile(r"[^\w\s.,!?…、。:;·\-\"'“”\u2018\u2019「」『』《》〈〉()\[\]{}<>~*_]+")
_LATIN = re.compile("[A-Za-z]")
_SPACES = re.compile(r"\s+")
_RULES = (
    Rule("company", re.compile(r"\(주\)"), lambda _: "주식회사 ", "("),
    # A day that gave an event its name is said by its digits.
    Rule("day of remembrance", re.compile(r"(?<![\d.])\d{1,2}·\d{1,2}(?![\d.])"), _digit_by_digit, "·"),
    Rule(
        "day of remembrance",
        re.compile(r"(?<![\d.])\d{1,2}\.\d{1,2}(?=\s?(?:광복|해방|혁명|운동|항쟁|전쟁|사변|참변|민주|의거))"),
        _digit_by_digit,
        ".",
    ),
    Rule(
        "weekday",
        re.compile(rf"(?<=일)\(([{_DAYS_OF_WEEK}])\)|(?<=일)\s\(([{_DAYS_OF_WEEK}])\)"),
        lambda match: f", {match[1] or match[2]}" + ("," if match.string[match.end() :].strip() else ""),
        "(",
    ),
    Rule("per", re.compile(r"(\d[\d,]*[만천백억]*)원/(개|kg|g|L|명|인|시간|월|년|일|장|병|권|박)"), _each, "/"),
    Rule("comparison", re.compile(r"(?<![\d.,])(\d{1,16})\s?([<>])\s?(\d{1,16})(?![\d.,]\d)"), _compared, "<>"),
    Rule("sum", re.compile(r"√\s?(?=\d)"), lambda _: "루트 ", "√"),
    Rule("about", re.compile(r"≒\s?(?=\d)"), lambda _: "약 ", "≒"),
    Rule(
        "score",
        re.compile(
            r"(?<![\d-])(\d{1,3})-(\d{1,3})(?=(?:으로|로)\s?(?:승|패|이|졌|져|앞|뒤|역전|비)|\s?(?:승리|패배|역전승|완승))"
        ),
        _score,
        "-",
    ),
    Rule("score", re.compile(r"(?<![\d.,])(\d{1,3})\s?대\s?(\d{1,3})(?![\d.,])"), _score, "대"),
    Rule(
        "fraction",
        re.compile(r"(?<![\d.,])(\d{1,4})분의\s?(\d{1,4})(?![\d.])"),
        lambda match: f"{_quantity(match[1])}분의 {_quantity(match[2])}",
        "분",
    ),
    Rule("age", re.compile(r"(?<![\d.,])([2-9]0)(?=대(?!\s?\d))"), lambda match: _quantity(match[1]), "대"),
    Rule(
        "number by digits",
        re.compile(r"(?<![\d-])0\d{1,2} \d{3,4} \d{4}(?![\d-])|(?<![\d-])\d{6}-\d{7}(?![\d-])"),
        lambda match: " ".join(map(_digits, re.split("[ -]", match[0]))),
        "0-",
    ),
    Rule(
        "number by digits",
        re.compile(r"\((0\d{1,2})\)\s?(\d{3,4})-(\d{4})(?![\d-])"),
        lambda match: " ".join(map(_digits, match.groups())),
        "(",
    ),
    Rule("ordinal", re.compile(r"(?<=제)(\d{1,8})(?:~(\d{1,8}))?(?![\d.,])"), _ordinal, "제"),
    Rule(
        "thousands", re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])"), lambda match: match[0].replace(",", ""), ","
    ),
    Rule("date", _DATE, _date, DIGITS),
    Rule("date", _DAY, lambda match: f"{int(match[1])}월 {int(match[2])}일", "/"),
    Rule("time", _TIME, _time, ":"),
    Rule("score", re.compile(r"(?<![\d:])(\d+):(\d+)(?![\d:])"), _score, ":"),
    Rule("money", _MONEY, _money, DIGITS),
    Rule("speed", _SPEED, lambda match: f"{SPEEDS[match[2]][0]} {match[1]}{SPEEDS[match[2]][1]}", "/"),
    Rule("measure", _UNIT, lambda match: UNITS[match[1]], DIGITS),
    Rule("number by digits", _CODE, _code, DIGITS),
    Rule("fraction", re.compile(r"(?<![\d/])(\d{1,3})/(\d{1,3})(?![\d/])"), _fraction, "/"),
    Rule(
        "version",
        re.compile(r"(?<![\d.])\d+(?:\.\d+){2,}(?![\d.])"),
        lambda match: " 점 ".join(map(_quantity, match[0].split("."))),
        ".",
    ),
    # Two months have lost a sound.
    Rule("month", re.compile(r"(?<!\d)0?(6|10)(?=월)"), lambda match: {"6": "유", "10": "시"}[match[1]], "월"),
    Rule("sum", re.compile(r"(?<=\d)\s?-\s?(?=\d+\s?=)"), lambda _: " 빼기 ", "="),
    Rule(
        "sum",
        re.compile(r"(?<=\d)\s?([+×*÷])\s?(?=\d)"),
        lambda match: {"+": " 더하기 ", "÷": " 나누기 "}.get(match[1], " 곱하기 "),
        "+×*÷",
    ),
    Rule("sum", re.compile(r"\s?×\s?(?=\d)"), lambda _: " 곱하기 ", "×"),
    Rule("count", _COUNT, _count, DIGITS),
    Rule("range", re.compile(r"(?<=[\d년월일시분원명개도층장퍼센트])\s?~\s?(?=\d)"), lambda _: "에서 ", "~"),
    Rule(
        "range",
        re.compile(r"(?<![\d-])(\d+)-(?=\d+(?:[년월일시분원명개도층장주회호살세]|퍼센트|킬로|미터))"),
        lambda match: f"{match[1]}에서 ",
        "-",
    ),
    Rule("number", _NUMBER, _number, DIGITS),
    Rule("weekdays", re.compile(rf"(?<=[{_DAYS_OF_WEEK}])~(?=[{_DAYS_OF_WEEK}](?![가-힣]))"), lambda _: "에서 ", "~"),
    Rule(
        "range",
        re.compile(r"(?:(?<=[가-힣]{2})|(?<=[이삼사오육칠팔구십])(?=~[이삼사오육유칠팔구십시]))~(?=[가-힣])"),
        lambda _: "에서 ",
        "~",
    ),
)
