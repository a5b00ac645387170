"""Dates, times, telephone numbers, amounts and sums in Chinese text, written out as they are said."""

# ruff: noqa: RUF001 -- the multiplication sign is what people write, and not a mistyped x
from __future__ import annotations

import re
from collections.abc import Callable
from re import Match

from sovits_core.text.chinese.numbers import cardinal, digit_by_digit, number
from sovits_core.text.spans import Rule, SpannedText

# The official normaliser (PaddleSpeech's) is no package, and the kept libraries disagree with it: WeTextProcessing says
# 十点三十分 for 10:30 and 零下五摄氏度 for -5℃, cn2an knows neither times nor telephones. So these rules are our own.

# Possessive and never begun inside a number, so that a long row of digits is scanned once.
_N = r"\d++(?:\.\d++)?+"
_ALONE = r"(?<![\d.])"
_TO = "[-~\u2013\u2014]"  # also en and em dash
_CURRENCIES = {
    "¥": "元", "RMB": "元", "CNY": "元", "US$": "美元", "USD": "美元", "$": "美元", "HK$": "港元", "HKD": "港元",
    "NT$": "新台币",
    "€": "欧元", "EUR": "欧元", "£": "英镑", "GBP": "英镑", "JPY": "日元", "₩": "韩元", "KRW": "韩元", "₽": "卢布",
    "₹": "卢比",
}  # fmt: skip
_UNITS = {
    "km2": "平方公里", "cm2": "平方厘米", "mm2": "平方毫米", "m2": "平方米", "cm3": "立方厘米", "m3": "立方米",
    "km": "公里", "cm": "厘米", "mm": "毫米", "dm": "分米", "nm": "纳米", "μm": "微米", "um": "微米", "m": "米",
    "kg": "千克", "mg": "毫克", "μg": "微克", "g": "克", "ml": "毫升", "mL": "毫升", "ML": "毫升", "L": "升", "l": "升",
    "ms": "毫秒", "s": "秒", "min": "分钟", "h": "小时", "dB": "分贝", "db": "分贝", "kWh": "千瓦时", "kW": "千瓦",
    "MW": "兆瓦", "W": "瓦", "mV": "毫伏", "kV": "千伏", "V": "伏", "mA": "毫安", "mAh": "毫安时", "A": "安",
    "Hz": "赫兹",
    "kHz": "千赫兹", "MHz": "兆赫兹", "GHz": "吉赫兹", "mph": "英里每小时", "t": "吨", "KB": "千字节", "kB": "千字节",
    "MB": "兆", "GB": "吉字节", "TB": "太字节", "Mbps": "兆比特每秒", "Gbps": "吉比特每秒", "kcal": "千卡", "cal": "卡",
    "Pa": "帕", "kPa": "千帕", "hPa": "百帕", "MPa": "兆帕", "rpm": "转每分", "px": "像素", "ha": "公顷", "lb": "磅",
    "ft": "英尺", "in": "英寸", "oz": "盎司", "Ω": "欧姆", "hp": "马力", "J": "焦耳", "kJ": "千焦", "N": "牛",
    "fps": "帧每秒",
}  # fmt: skip
_PERIODS = {"h": "小时", "s": "秒", "min": "分钟", "d": "天", "小时": "小时", "秒": "秒", "分钟": "分钟", "天": "天",
"年": "年",
            "月": "月", "人": "人", "次": "次"}  # fmt: skip
_SCALES = "千万|百万|十万|万亿|万|亿|千|百"
# What is counted: after one of these a number is a quantity, however long it is.
_MEASURES = (
    "个半月|个|名|位|人|口|家|户|只|条|头|匹|张|座|栋|幢|间|层|楼|台|辆|架|艘|本|册|页|章|篇|首|句|字|封|份|件|套|双|对|副|"
    "把|支|枝|根|棵|株|朵|颗|粒|块|片|面|幅|瓶|杯|碗|盘|盒|箱|袋|包|桶|罐|壶|次|遍|回|趟|场|届|期|轮|局|盘|步|圈|批|组|"
    "队|排|列|行|项|种|类|样|段|节|集|部|门|道|题|处|所|颗|滴|堆|群|束|串|顿|餐|年级|年代|年|季度|季|月|周|星期|天|日|号|"
    "夜|点|刻|分钟|分|秒钟|秒|小时|时|岁|周岁|世纪|代|倍|成|折|度|元|块钱|块|角|毛|美元|欧元|港元|英镑|日元|人民币|"
    "平方(?:千|厘|毫)?米|平方公里|立方(?:厘)?米|(?:千|分|厘|毫|微|纳)米|公里|海里|英里|里|米|尺|寸|丈|亩|公顷|"
    "(?:千|毫|微)克|公斤|斤|两|克|吨|毫升|升|毫秒|千瓦时|千瓦|瓦|伏|分贝|赫兹|吉赫兹|兆赫兹|千赫兹|英尺|英寸|磅|"
    "票|例|级|班|路|线|胎|卷|关|强|集|笔|桌|席|枚|发|声|眼|下|股|环|路|版|款|床|罗|打|公顷|平|架次|人次|"
    "点钟|粒|拨|辈|副|滩|阵|顶|扇|盏|栏|针|味|幕|出|例|场次|人份|份|轮|款|档|股|桩|宗|封|员|亩|千卡|卡|兆|吉字节|太字节|千字节|"
    "蚊|樽|嚿|啖|樖|橛|揪|毫子|皮|匀|铺|围|个钟|餐|毫安时|毫安|像素|欧姆|焦耳|帕|安|" + _SCALES
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


def _rule(name: str, pattern: str, say: Callable[[Match[str]], str | None], needs: str = "") -> Rule:
    # ASCII: \d shall not match the digits of other scripts, which the caller has already changed.
    return Rule(name, re.compile(pattern, re.ASCII), say, needs)


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
    unit = _CURRENCIES[match["sign"]]
    first = f"{number(match['first'])}{match['scale1'] or ''}到" if match["first"] else ""
    return f"{'负' if match['minus'] else ''}{first}{number(match['number'])}{match['scale'] or ''}{unit}"


def _amount_before(match: Match[str]) -> str:
    return f"{number(match['number'])}{match['scale'] or ''}{_CURRENCIES[match['sign']]}"


def _speed(match: Match[str]) -> str:
    first = f"{number(match['first'])}到" if match["first"] else ""
    return f"每{_PERIODS[match['period']]}{first}{_spoken_amount(match['number'], _UNITS[match['unit']])}"


def _measured(match: Match[str]) -> str:
    first = f"{number(match['first'])}到" if match["first"] else ""
    return first + _spoken_amount(match["number"], _UNITS[match["unit"]])


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
    two = digits.lstrip("0") == "2" and measure not in _NAMED_BY_NUMBER
    return ("两" if two else cardinal(digits)) + {"+": "多", None: ""}.get(more, more) + measure


_DEGREE = r"(°C|℃|摄氏度|℉|°F|°|度)"
_UNIT_NAMES = "|".join(sorted(_UNITS, key=len, reverse=True))
_SIGNS_OF_MONEY = "|".join(re.escape(sign) for sign in sorted(_CURRENCIES, key=len, reverse=True))
_FIRST = rf"(?:(?<![\d.])(?P<first>{_N})\s?{_TO}\s?)?"
_IN_YEAR = r"(?:0?[1-9]|1[0-2])"

# The order matters: what is written in a longer form is recognised before its parts are.
RULES: tuple[Rule, ...] = (
    _rule(
        "holiday",
        r"(?<!\d)(\d{1,2})[.·](\d{1,2})(?=[^\d]{0,3}节)",
        lambda m: digit_by_digit(m[1]) + digit_by_digit(m[2]),
        "节",
    ),
    _rule("hundredths", r"(?<=\d秒)\d\d(?!\d)", lambda match: digit_by_digit(match[0]), "秒"),
    _rule("decimal", r"(?<![\d.])\.(?=\d)", lambda _: "0."),
    _rule("thousands", r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])", lambda match: match[0].replace(",", ""), ","),
    _rule("telephone number", r"(?<![\d.])(\+?86[- ]?)?(1[3-9]\d)[- ]?(\d{4})[- ]?(\d{4})(?!\d|\.\d)", _mobile),
    _rule("telephone number", r"(?<![\d.-])(0(?:10|2\d|[3-9]\d\d))[- ]?([1-9]\d{6,7})(?!\d|\.\d)", _telephone),
    _rule("telephone number", r"(?<![\d.-])([48]00)-?(\d{3})-?(\d{4})(?!\d|\.\d)", _telephone),
    _rule(
        "number by digits",
        r"(?<=[号码]:)\d{4,}(?:-\d+)*|(?<=[号码]是)\d{4,}(?:-\d+)*",
        lambda m: digit_by_digit(m[0], one="幺"),
    ),
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
    _rule("decade", r"(?<!\d)(?:19|20)\d0(?=年代)", lambda match: digit_by_digit(match[0]), "年"),
    _rule("decade", r"(?<!\d)\d0(?=年代)", lambda match: cardinal(match[0]), "年"),
    _rule("year", r"(?<=公元前)\d{1,4}(?=年)|(?<=公元)\d{1,4}(?=年)", lambda match: digit_by_digit(match[0]), "元"),
    _rule(
        "year",
        r"(?<!\d)(?:\d{4}(?=年)|\d\d(?=年(?:0?[1-9]|1[0-2])月)|(?:0\d|[6-9]\d)(?=年(?![级代])))",
        lambda m: digit_by_digit(m[0]),
        "年",
    ),
    _rule("generation", r"(?<!\d)(?:00|[5-9][05])(?=后(?![面来天年]))", lambda match: digit_by_digit(match[0]), "后"),
    _rule("time", rf"(?<![\d:]){_CLOCK}\s*{_TO}\s*{_CLOCK}(?![\d:])", _time_range, ":"),
    _rule("time", rf"(?<![\d:]){_CLOCK}(?![\d:])", _time, ":"),
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
        rf"(?P<scale1>{_SCALES})?{_TO})?(?P<number>{_N})(?P<scale>{_SCALES})"
        rf"?(?:[人民]*[币]|[美港欧日韩]?元|块钱?)?",
        _amount,
    ),
    _rule(
        "money",
        rf"{_ALONE}(?P<number>{_N})(?P<scale>{_SCALES})?\s?(?P<sign>{_SIGNS_OF_MONEY})(?![A-Za-z\d])",
        _amount_before,
    ),
    _rule(
        "speed",
        rf"{_FIRST}{_ALONE}(?P<number>-?{_N})\s?(?P<unit>{_UNIT_NAMES})/(?P<period>h|s|min|d|小时|秒|分钟|天)(?![A-Za-z\d])",
        _speed,
        "/",
    ),
    _rule("measure", rf"{_FIRST}{_ALONE}(?P<number>-?{_N})\s?(?P<unit>{_UNIT_NAMES})(?![A-Za-z\d])", _measured),
    _rule("sum", rf"{_ALONE}-?{_N}(?:[-+*xX×÷/]-?{_N}){{1,30}}+=(?:-?{_N})?", _equation, "="),
    _rule("sum", r"(?<=\d)\s?([+*xX×÷=<>])\s?(?=-?\d)", lambda match: _SIGNS[match[1]]),
    _rule("sum", r"([≤≥≈≠])", lambda match: _SIGNS[match[1]]),
    _rule("sign", r"±", lambda _: "正负"),
    _rule("24/7", r"(?<!\d)(7)[×xX*](24)(?!\d)", lambda _: "七乘二十四"),
    _rule(
        "fraction",
        r"(?<![\d./])(\d++)又(\d++)/(0*[1-9]\d*)",
        lambda m: f"{cardinal(m[1])}又{cardinal(m[3])}分之{cardinal(m[2])}",
        "/",
    ),
    _rule("fraction", r"(?<![\d./])(-?)(\d++)/(0*+[1-9]\d*+)(?!/)", _fraction, "/"),
    _rule("range", rf"(?<![\d.-])(\d+){_TO}(\d+)(?={_MEASURES})", lambda match: f"{cardinal(match[1])}到{match[2]}"),
    _rule(
        "range",
        rf"(?<![\d.-])(-?{_N}){_TO}(-?{_N})(?![-~\d.])",
        lambda match: f"{number(match[1])}到{number(match[2])}",
    ),
    _rule("version", r"(?<![\d.])\d++(?:\.\d++){2,}+", lambda match: digit_by_digit(match[0]).replace(".", "点")),
    _rule("number", rf"(?<![\dA-Za-z])-{_N}", lambda match: number(match[0]), "-"),
    _rule("ordinal", r"(?<=第)\d+", lambda match: cardinal(match[0]), "第"),
    _rule("count", r"(?<=万)2(?=千)", lambda _: "二", "万"),
    _rule("count", rf"{_ALONE}(\d++)([多余几+])?({_MEASURES})", _counted),
    _rule("number", r"(?<![\d.])(\d++\.\d++)(?=\D|$)", lambda match: number(match[1])),
    _rule("number", r"(?<![打拨电系话\d])[1-9]0{2,7}(?!\d)", lambda match: cardinal(match[0])),
    # Room numbers, numbers to dial and codes: the digits are called out.
    _rule("number by digits", r"\d{3,}|0\d", lambda match: digit_by_digit(match[0], one="幺")),
    _rule("number", r"\d+", lambda match: cardinal(match[0])),
)


def write_out(text: SpannedText) -> SpannedText:
    """Return text without digits: every number, and the signs that belong to it, in Chinese characters."""
    return text.apply(RULES)
