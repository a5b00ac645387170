"""Dates, times, telephone numbers, amounts and sums in Chinese text, written out as they are said."""

# ruff: noqa: RUF001 -- the multiplication sign is what people write, and not a mistyped x
from __future__ import annotations

import re
from collections.abc import Callable
from re import Match

from sovits_core.text.chinese.numbers import cardinal, digit_by_digit, number

# The official normaliser (PaddleSpeech's) is no package, and the kept libraries disagree with it: WeTextProcessing says
# 十点三十分 for 10:30 and 零下五摄氏度 for -5℃, cn2an knows neither times nor telephones. So these rules are our own.

# Possessive and never begun inside a number, so that a long row of digits is scanned once.
_N = r"\d++(?:\.\d++)?+"
_ALONE = r"(?<![\d.])"
_TO = "[-~\u2013\u2014]"  # also en and em dash
_CURRENCIES = {"¥": "元", "$": "美元", "US$": "美元", "HK$": "港元", "€": "欧元", "£": "英镑"}
_UNITS = {
    "km/h": "千米每小时", "m/s": "米每秒", "km2": "平方千米", "cm2": "平方厘米", "mm2": "平方毫米", "m2": "平方米",
    "cm3": "立方厘米", "m3": "立方米", "km": "千米", "cm": "厘米", "mm": "毫米", "dm": "分米", "nm": "纳米", "m": "米",
    "kg": "千克", "mg": "毫克", "g": "克", "ml": "毫升", "mL": "毫升", "L": "升", "l": "升", "ms": "毫秒", "s": "秒",
    "min": "分钟", "h": "小时", "dB": "分贝", "db": "分贝", "kWh": "千瓦时", "kW": "千瓦", "W": "瓦", "V": "伏",
    "Hz": "赫兹", "kHz": "千赫兹", "MHz": "兆赫兹", "GHz": "吉赫兹", "mph": "英里每小时", "t": "吨",
}  # fmt: skip
# What is counted: after one of these a number is a quantity, however long it is.
_MEASURES = (
    "个半月|个|名|位|人|口|家|户|只|条|头|匹|张|座|栋|幢|间|层|楼|台|辆|架|艘|本|册|页|章|篇|首|句|字|封|份|件|套|双|对|副|"
    "把|支|枝|根|棵|株|朵|颗|粒|块|片|面|幅|瓶|杯|碗|盘|盒|箱|袋|包|桶|罐|壶|次|遍|回|趟|场|届|期|轮|局|盘|步|圈|批|组|"
    "队|排|列|行|项|种|类|样|段|节|集|部|门|道|题|处|所|颗|滴|堆|群|束|串|顿|餐|年级|年代|年|季度|季|月|周|星期|天|日|号|"
    "夜|点|刻|分钟|分|秒钟|秒|小时|时|岁|周岁|世纪|代|倍|成|折|度|元|块钱|块|角|毛|美元|欧元|港元|英镑|日元|人民币|"
    "平方(?:千|厘|毫)?米|平方公里|立方(?:厘)?米|(?:千|分|厘|毫|微|纳)米|公里|海里|英里|里|米|尺|寸|丈|亩|公顷|"
    "(?:千|毫|微)克|公斤|斤|两|克|吨|毫升|升|毫秒|千瓦时|千瓦|瓦|伏|分贝|赫兹|吉赫兹|兆赫兹|千赫兹|英尺|英寸|磅|"
    "票|例|级|班|路|线|胎|卷|关|强|集|笔|桌|席|枚|发|声|眼|下|股|环|路|版|款|床|罗|打|公顷|平|架次|人次|"
    "千万|百万|十万|万亿|万|亿|千|百"
)
# Two of them is 两, except where a number is a name or belongs to a longer one.
_NAMED_BY_NUMBER = {
    "月",
    "日",
    "号",
    "楼",
    "年级",
    "级",
    "班",
    "路",
    "线",
    "年代",
    "度",
    "两",
    "季度",
    "期",
    "版",
    "代",
}
_SIGNS = {"+": "加", "-": "减", "*": "乘", "x": "乘", "X": "乘", "×": "乘", "÷": "除以", "/": "除以", "=": "等于",
          "<": "小于", ">": "大于", "≤": "小于等于", "≥": "大于等于", "≈": "约等于", "≠": "不等于"}  # fmt: skip
_CLOCK = r"([01]?\d|2[0-4]):([0-5]\d)(?::([0-5]\d))?"

Rule = tuple[re.Pattern[str], Callable[[Match[str]], str]]


def _rule(pattern: str, say: Callable[[Match[str]], str]) -> Rule:
    # ASCII: \d shall not match the digits of other scripts, which the caller has already changed.
    return re.compile(pattern, re.ASCII), say


def _mobile(match: Match[str]) -> str:
    country = "八六," if match[1] else ""
    return country + digit_by_digit(match[2] + match[3] + match[4], one="幺")


def _telephone(match: Match[str]) -> str:
    return ",".join(digit_by_digit(part, one="幺") for part in match.groups() if part)


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
    return f"{number((match[1] or '') + match[3])}{match[4] or ''}{_CURRENCIES[match[2]]}"


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
    two = digits.lstrip("0") == "2" and measure not in _NAMED_BY_NUMBER
    return ("两" if two else cardinal(digits)) + {"+": "多", None: ""}.get(more, more) + measure


_DEGREE = r"(°C|℃|摄氏度|℉|°F|°|度)"

# The order matters: what is written in a longer form is recognised before its parts are.
RULES: tuple[Rule, ...] = (
    _rule(r"(?<![\d.])\.(?=\d)", lambda _: "0."),
    _rule(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])", lambda match: match[0].replace(",", "")),
    _rule(r"(?<![\d.])(\+?86[- ]?)?(1[3-9]\d)[- ]?(\d{4})[- ]?(\d{4})(?!\d|\.\d)", _mobile),
    _rule(r"(?<![\d.-])(0(?:10|2\d|[3-9]\d\d))[- ]?([1-9]\d{6,7})(?!\d|\.\d)", _telephone),
    _rule(r"(?<![\d.-])([48]00)-?(\d{3})-?(\d{4})(?!\d|\.\d)", _telephone),
    _rule(rf"(?<=\d[年月日号点时分个元岁米])\s*{_TO}\s*(?=\d)", lambda _: "至"),
    _rule(r"(?<!\d)(\d{4})([-/.])(0?[1-9]|1[0-2])\2(3[01]|[12]\d|0?[1-9])(?!\d)", _date),
    _rule(rf"(?<!\d)(\d{{4}}){_TO}(\d{{4}})(?=年)", lambda m: f"{digit_by_digit(m[1])}到{digit_by_digit(m[2])}"),
    _rule(
        r"(?<!\d)(?:\d{4}(?=年)|\d\d(?=年(?:0?[1-9]|1[0-2])月)|(?:0\d|[6-9]\d)(?=年))", lambda m: digit_by_digit(m[0])
    ),
    _rule(r"(?<!\d)(?:00|[5-9][05])(?=后(?![面来天年]))", lambda match: digit_by_digit(match[0])),  # those born then
    _rule(rf"(?<![\d:]){_CLOCK}\s*{_TO}\s*{_CLOCK}(?![\d:])", _time_range),
    _rule(rf"(?<![\d:]){_CLOCK}(?![\d:])", _time),
    _rule(rf"{_ALONE}({_N}):({_N})(?![\d:])", lambda match: f"{number(match[1])}比{number(match[2])}"),
    _rule(rf"{_ALONE}(-?{_N})[%‰]?{_TO}(-?{_N})([%‰])", lambda m: f"{_share(m[1], m[3])}到{_share(m[2], m[3])}"),
    _rule(rf"{_ALONE}(-?{_N})([%‰])", lambda match: _share(match[1], match[2])),
    _rule(
        rf"{_ALONE}(-?{_N}){_DEGREE}?{_TO}(-?{_N}){_DEGREE}",
        lambda m: f"{_degrees(m[1])}到{_degrees(m[3])}{_degree_unit(m[4])}",
    ),
    _rule(rf"{_ALONE}(-?{_N}){_DEGREE}", lambda match: _degrees(match[1]) + _degree_unit(match[2])),
    _rule(rf"(-)?((?:US|HK)?\$|[¥€£])\s?({_N})(千万|百万|万亿|万|亿|千|百)?", _amount),
    _rule(
        rf"(?<=\d)\s?({'|'.join(sorted(_UNITS, key=len, reverse=True))})(?![A-Za-z\d])", lambda match: _UNITS[match[1]]
    ),
    _rule(rf"{_ALONE}-?{_N}(?:[-+*xX×÷/]-?{_N}){{1,30}}+=(?:-?{_N})?", _equation),
    _rule(r"(?<=\d)\s?([+*xX×÷=<>])\s?(?=-?\d)", lambda match: _SIGNS[match[1]]),
    _rule(r"([≤≥≈≠])", lambda match: _SIGNS[match[1]]),
    _rule(r"±", lambda _: "正负"),
    _rule(
        r"(?<![\d./])(\d++)又(\d++)/(0*[1-9]\d*)", lambda m: f"{cardinal(m[1])}又{cardinal(m[3])}分之{cardinal(m[2])}"
    ),
    _rule(r"(?<![\d./])(-?)(\d++)/(0*+[1-9]\d*+)(?!/)", _fraction),
    _rule(rf"(?<![\d.-])(-?{_N}){_TO}(-?{_N})(?![-~\d.])", lambda match: f"{number(match[1])}到{number(match[2])}"),
    _rule(r"(?<![\d.])\d++(?:\.\d++){2,}+", lambda match: digit_by_digit(match[0]).replace(".", "点")),
    _rule(rf"(?<![\dA-Za-z])-{_N}", lambda match: number(match[0])),
    _rule(r"(?<=第)\d+", lambda match: cardinal(match[0])),
    _rule(rf"{_ALONE}(\d++)([多余几+])?({_MEASURES})", _counted),
    _rule(r"(?<![\d.])\d++\.\d++", lambda match: number(match[0])),
    # Room numbers, numbers to dial and codes: the digits are called out.
    _rule(r"\d{3,}|0\d", lambda match: digit_by_digit(match[0], one="幺")),
    _rule(r"\d+", lambda match: cardinal(match[0])),
)


def write_out(text: str) -> str:
    """Return text without digits: every number, and the signs that belong to it, in Chinese characters."""
    for pattern, say in RULES:
        text = pattern.sub(say, text)
    return text
