"""Dates, times, telephone numbers, amounts and sums in Chinese text, written out as they are said."""

# ruff: noqa: RUF001 -- the multiplication sign is what people write, and not a mistyped x
from __future__ import annotations

import re
from collections.abc import Callable
from re import Match

from sovits_core.text.chinese.codes import CODES, CODES_LEFT
from sovits_core.text.chinese.numbers import cardinal, digit_by_digit, number
from sovits_core.text.chinese.units import CURRENCIES, MEASURES, NAMED_BY_NUMBER, PERIODS, SCALES, UNITS
from sovits_core.text.spans import DIGITS, Rule, SpannedText

# The official normaliser (PaddleSpeech's) is no package, and the kept libraries disagree with it: WeTextProcessing says
# 十点三十分 for 10:30 and 零下五摄氏度 for -5℃, cn2an knows neither times nor telephones. So these rules are our own.

# Possessive and never begun inside a number, so that a long row of digits is scanned once.
_N = r"\d++(?:\.\d++)?+"
_ALONE = r"(?<![\d.])"
_TO = "[-~\u2013\u2014]"  # also en and em dash
_SIGNS = {"+": "加", "-": "减", "*": "乘", "x": "乘", "X": "乘", "×": "乘", "÷": "除以", "/": "除以", "=": "等于",
          "<": "小于", ">": "大于", "≤": "小于等于", "≥": "大于等于", "≈": "约等于", "≠": "不等于"}  # fmt: skip
_CLOCK = r"([01]?\d|2[0-4]):([0-5]\d)(?::([0-5]\d))?"


def _rule(name: str, pattern: str, say: Callable[[Match[str]], str | None], needs: str = DIGITS) -> Rule:
    # ASCII: \d shall not match the digits of other scripts, which the caller has already changed.
    return Rule(name, re.compile(pattern, re.ASCII), say, needs)


def _date(match: Match[str]) -> str:
    return f"{digit_by_digit(match[1])}年{cardinal(match[3])}月{cardinal(match[4])}日"


def _clock(hour: str, minute: str, second: str | None) -> str:
    spoken = f"{'两' if int(hour) == 2 else cardinal(hour)}点"
    if second and int(second):
        return f"{spoken}{_two_digits(minute)}分{_two_digits(second)}秒"
    if int(minute) == 0:
        return spoken
    return spoken + ("半" if int(minute) == 30 else f"{_two_digits(minute)}分")


def _two_digits(digits: str) -> str:
    return "零" + cardinal(digits) if digits[0] == "0" and digits != "00" else cardinal(digits)


def _time(match: Match[str]) -> str:
    return _clock(match[1], match[2], match[3])


def _time_range(match: Match[str]) -> str:
    return f"{_clock(*match.group(1, 2, 3))}至{_clock(*match.group(4, 5, 6))}"


def _share(amount: str, sign: str) -> str:
    whole = "百分之" if sign == "%" else "千分之"
    return ("负" if amount.startswith("-") else "") + whole + number(amount.lstrip("-"))


def _degrees(amount: str) -> str:
    return ("零下" if amount.startswith("-") else "") + number(amount.lstrip("-"))


def _degree_unit(unit: str) -> str:
    return {"摄氏度": "摄氏度", "℉": "华氏度", "°F": "华氏度"}.get(unit, "度")


def _amount(match: Match[str]) -> str:
    unit = CURRENCIES[match["sign"]]
    first = f"{number(match['first'])}{match['scale1'] or ''}到" if match["first"] else ""
    return f"{'负' if match['minus'] else ''}{first}{number(match['number'])}{match['scale'] or ''}{unit}"


def _amount_before(match: Match[str]) -> str:
    return f"{number(match['number'])}{match['scale'] or ''}{CURRENCIES[match['sign']]}"


def _grouped(match: Match[str]) -> str:
    return cardinal(match[0].replace(",", ""))


def _score(match: Match[str]) -> str:
    return f"{cardinal(match[1])}比{cardinal(match[2])}"


def _speed(match: Match[str]) -> str:
    first = f"{number(match['first'])}到" if match["first"] else ""
    every = f"每{PERIODS[match['period']]}"
    if match.string.endswith(every, 0, match.start()):
        every = ""
    return every + first + _spoken_amount(match["number"], UNITS[match["unit"]])


def _measured(match: Match[str]) -> str:
    first = f"{number(match['first'])}到" if match["first"] else ""
    return first + _spoken_amount(match["number"], UNITS[match["unit"]])


def _spoken_amount(amount: str, unit: str) -> str:
    return ("两" if amount == "2" else number(amount)) + unit


def _equation(match: Match[str]) -> str:
    terms = re.split(r"([-+*xX×÷/=])(?=[-\d])(?<=\d.)", match[0])
    return "".join(_SIGNS.get(term, term) if index % 2 else _term(term) for index, term in enumerate(terms))


def _term(text: str) -> str:
    if text.endswith("="):
        return number(text[:-1]) + "等于"
    return number(text)


def _fraction(match: Match[str]) -> str:
    return f"{'负' if match[1] else ''}{cardinal(match[3])}分之{cardinal(match[2])}"


def _counted(match: Match[str]) -> str:
    digits, more, measure = match[1], match[2], match[3]
    two = digits.lstrip("0") == "2" and measure not in NAMED_BY_NUMBER
    return ("两" if two else cardinal(digits)) + {"+": "多", None: ""}.get(more, more) + measure


_DEGREE = r"(°C|℃|摄氏度|℉|°F|°|度)"
_UNIT_NAMES = "|".join(sorted(UNITS, key=len, reverse=True))
_SIGNS_OF_MONEY = "|".join(re.escape(sign) for sign in sorted(CURRENCIES, key=len, reverse=True))
_FIRST = rf"(?:(?<![\d.])(?P<first>{_N})\s?{_TO}\s?)?"
_IN_YEAR = r"(?:0?[1-9]|1[0-2])"

# What two numbers with a hyphen before it are the score of.
_RESULT = "[险大完小]?胜|获胜|取胜|战胜|击败|领先|落后|惜败|逆转|负于|战平|打平|赢|嬴|输"

# The order matters: what is written in a longer form is recognised before its parts are.
RULES: tuple[Rule, ...] = (
    _rule(
        "holiday",
        r"(?<!\d)(\d{1,2})[.·](\d{1,2})(?=[^\d]{0,3}节)",
        lambda m: digit_by_digit(m[1]) + digit_by_digit(m[2]),
        "节",
    ),
    _rule(
        "day of remembrance",
        r"(?<!\d)(\d{1,2})·(\d{1,2})(?!\d)",
        lambda m: digit_by_digit(m[1]) + digit_by_digit(m[2]),
        "·",
    ),
    _rule("list", r"(?:^|(?<=[.!?;\n]))\((\d{1,2})\)(?=\D)", lambda match: f"{cardinal(match[1])},", "("),
    _rule("height", r"(?<![\d.])([12])[m米](\d\d)(?![\d.])", lambda m: f"{m[1]}米{digit_by_digit(m[2])}", "m米"),
    _rule("discount", r"(?<![\d.])[1-9][1-9](?=折)", lambda match: digit_by_digit(match[0]), "折"),
    _rule("range", rf"(?<=点)\s?{_TO}\s?(?=[早晚上下中凌傍])", lambda _: "至", "点"),
    _rule("hundredths", r"(?<=\d秒)\d\d(?!\d)", lambda match: digit_by_digit(match[0]), "秒"),
    _rule("decimal", r"(?<![\d.])\.(?=\d)", lambda _: "0."),
    # With its separators a number is a quantity, even where nothing is counted.
    _rule("thousands", r"(?<![\d.,$¥€£₩])\d{1,3}(?:,\d{3})+(?=$|[,.!?;](?!\d))", _grouped, ","),
    _rule("thousands", r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])", lambda match: match[0].replace(",", ""), ","),
    *CODES,
    _rule("range", rf"(?<=\d[年月日号点时分个元岁米天])\s*{_TO}\s*(?=\d)", lambda _: "至"),
    _rule("date", r"(?<!\d)(\d{4})([-/.])(0?[1-9]|1[0-2])\2(3[01]|[12]\d|0?[1-9])(?!\d)", _date),
    _rule(
        "month",
        r"(?<!\d)((?:19|20)\d\d)[-/](0[1-9]|1[0-2])(?![\d/-])",
        lambda m: f"{digit_by_digit(m[1])}年{cardinal(m[2])}月",
        "-/",
    ),
    _rule(
        "date",
        r"(?<![\d.])(0?[1-9]|1[0-2])/(3[01]|[12]\d|0?[1-9])(?=日|号)",
        lambda m: f"{cardinal(m[1])}月{cardinal(m[2])}",
        "/",
    ),
    _rule(
        "years",
        rf"(?<!\d)(\d{{4}})(?:年)?{_TO}(\d{{4}})(?=年)",
        lambda m: f"{digit_by_digit(m[1])}到{digit_by_digit(m[2])}",
        "年",
    ),
    _rule(
        "years",
        rf"(?<![\d.])((?:1[5-9]|20)\d\d){_TO}((?:1[5-9]|20)\d\d)(?!{MEASURES}|[\d.%‰~A-Za-z=-])",
        lambda m: f"{digit_by_digit(m[1])}到{digit_by_digit(m[2])}",
    ),
    _rule("year", r"(?<!\d)(?:19|20)\d\d(?=[届级])", lambda match: digit_by_digit(match[0]), "届级"),
    _rule("decade", r"(?<!\d)(?:19|20)\d0(?=年代)", lambda match: digit_by_digit(match[0]), "年"),
    _rule("decade", r"(?<!\d)\d0(?=年代)", lambda match: cardinal(match[0]), "年"),
    _rule("year", r"(?<=公元前)\d{1,4}(?=年)|(?<=公元)\d{1,4}(?=年)", lambda match: digit_by_digit(match[0]), "元"),
    _rule(
        "year",
        r"(?<!\d)(?:\d{4}(?=年)|\d\d(?=年(?:0?[1-9]|1[0-2])月)|(?:0\d|[6-9]\d)(?=年(?![级代])))",
        lambda m: digit_by_digit(m[0]),
        "年",
    ),
    _rule(
        "generation", r"(?<!\d)(?:[01][05]|[5-9][05])(?=后(?![面来天年]))", lambda match: digit_by_digit(match[0]), "后"
    ),
    _rule("time", r"(?<=\d点)0(\d)(?=分)", lambda match: f"零{cardinal(match[1])}", "点"),
    _rule("time", rf"(?<![\d:]){_CLOCK}\s*{_TO}\s*{_CLOCK}(?![\d:])", _time_range, ":"),
    _rule("time", rf"(?<![\d:]){_CLOCK}(?![\d:])", _time, ":"),
    _rule(
        "ratio",
        r"(?<![\d:.])\d{1,4}(?::\d{1,4}){2,5}(?![\d:])",
        lambda match: "比".join(map(cardinal, match[0].split(":"))),
        ":",
    ),
    _rule("ratio", rf"{_ALONE}({_N}):({_N})(?![\d:])", lambda match: f"{number(match[1])}比{number(match[2])}", ":"),
    _rule(
        "percentage",
        rf"{_ALONE}(-?{_N})[%‰]?{_TO}(-?{_N})([%‰])",
        lambda m: f"{_share(m[1], m[3])}到{_share(m[2], m[3])}",
        "%‰",
    ),
    _rule("percentage", rf"{_ALONE}(-?{_N})([%‰])", lambda match: _share(match[1], match[2]), "%‰"),
    _rule(
        "temperature",
        rf"{_ALONE}(-?{_N}){_DEGREE}?{_TO}(-?{_N}){_DEGREE}",
        lambda m: f"{_degrees(m[1])}到{_degrees(m[3])}{_degree_unit(m[4])}",
        "°℃℉度",
    ),
    _rule(
        "temperature", rf"{_ALONE}(-?{_N}){_DEGREE}", lambda match: _degrees(match[1]) + _degree_unit(match[2]), "°℃℉度"
    ),
    _rule(
        "money",
        rf"(?P<minus>-)?(?P<sign>{_SIGNS_OF_MONEY})\s?(?:(?P<first>{_N})"
        rf"(?P<scale1>{SCALES})?{_TO})?(?P<number>{_N})(?P<scale>{SCALES})"
        rf"?(?:[人民]*[币]|[美港欧日韩]?元|円|块钱?)?",
        _amount,
    ),
    _rule(
        "money",
        rf"{_ALONE}(?P<number>{_N})(?P<scale>{SCALES})?\s?(?P<sign>{_SIGNS_OF_MONEY})(?![A-Za-z\d])",
        _amount_before,
    ),
    _rule(
        "speed",
        rf"{_FIRST}{_ALONE}(?P<number>-?{_N})\s?(?P<unit>{_UNIT_NAMES})/(?P<period>h|s|min|d|小时|秒|分钟|天)(?![A-Za-z\d])",
        _speed,
        "/",
    ),
    _rule("measure", rf"{_FIRST}{_ALONE}(?P<number>-?{_N})\s?(?P<unit>{_UNIT_NAMES})(?![A-Za-z\d])", _measured),
    _rule(
        "measure", rf"(?<=[万亿])\s?(?P<unit>{_UNIT_NAMES})(?![A-Za-z\d])", lambda match: UNITS[match["unit"]], "万亿"
    ),
    _rule("measure", rf"{_ALONE}({_N})A(?![A-Za-z\d]|[^\W电的])", lambda match: f"{number(match[1])}安", "A"),
    _rule("score", rf"(?<![\d.-])(\d{{1,3}}){_TO}(\d{{1,3}})(?={_RESULT})", _score),
    _rule("sum", rf"{_ALONE}-?{_N}(?:[-+*xX×÷/]-?{_N}){{1,30}}+=(?:-?{_N})?", _equation, "="),
    _rule("sum", r"(?<=\d)\s?([+*xX×÷=<>])\s?(?=-?\d)", lambda match: _SIGNS[match[1]]),
    _rule("sum", r"=(?=-?\d)", lambda _: "等于", "="),
    _rule("sum", r"√(?=\d)", lambda _: "根号", "√"),
    _rule("sum", r"\s?([×÷≤≥≈≠])\s?", lambda match: _SIGNS[match[1]], "×÷≤≥≈≠"),
    _rule("sign", r"±", lambda _: "正负", "±"),
    _rule("24/7", r"(?<!\d)(7)[×xX*](24)(?!\d)", lambda _: "七乘二十四"),
    _rule(
        "fraction",
        r"(?<![\d./])(\d++)又(\d++)/(0*[1-9]\d*)",
        lambda m: f"{cardinal(m[1])}又{cardinal(m[3])}分之{cardinal(m[2])}",
        "/",
    ),
    _rule("fraction", r"(?<![\d./])(-?)(\d++)/(0*+[1-9]\d*+)(?!/)", _fraction, "/"),
    _rule("range", rf"(?<=[万亿千百多])\s?{_TO}\s?(?=\d)", lambda _: "到"),
    _rule("range", rf"(?<=[周期][一二三四五六日]){_TO}(?=周|星期)", lambda _: "到", "周期"),
    _rule("range", r"(?<=[页章节回课集届条号日月年])~(?=[第\d])", lambda _: "到", "~"),
    _rule("more", r"\+(?=$|[^\w+])(?<=[\d万亿千百]\+)", lambda _: "多", "+"),
    _rule("range", rf"(?<![\d.-])(\d+){_TO}(\d+)(?={MEASURES})", lambda match: f"{cardinal(match[1])}到{match[2]}"),
    _rule(
        "range",
        rf"(?<![\d.-])(-?{_N}){_TO}(-?{_N})(?![-~\d.])",
        lambda match: f"{number(match[1])}到{number(match[2])}",
    ),
    *CODES_LEFT,
    _rule("number", rf"(?<![\dA-Za-z])-{_N}", lambda match: number(match[0]), "-"),
    _rule(
        "ordinal",
        r"(?<=第)\d+(?:[、,]\d+)+(?!\d)",
        lambda match: re.sub(r"\d+", lambda one: cardinal(one[0]), match[0]),
        "第",
    ),
    _rule("ordinal", r"(?<=第)\d+", lambda match: cardinal(match[0]), "第"),
    _rule("count", r"(?<=万)2(?=千)", lambda _: "二", "万"),
    _rule("count", rf"{_ALONE}(\d++)([多余几+])?({MEASURES})", _counted),
    _rule("number", r"(?<![\d.])(\d++\.\d++)(?=\D|$)", lambda match: number(match[1])),
    _rule("number", r"(?<![打拨电系话\d])[1-9]0{2,7}(?!\d)", lambda match: cardinal(match[0])),
    # Room numbers, numbers to dial and codes: the digits are called out.
    _rule("number by digits", r"\d{3,}|0\d", lambda match: digit_by_digit(match[0], one="幺")),
    _rule("number", r"\d+", lambda match: cardinal(match[0])),
)


def write_out(text: SpannedText) -> SpannedText:
    """Return text without digits: every number, and the signs that belong to it, in Chinese characters."""
    return text.apply(RULES)
