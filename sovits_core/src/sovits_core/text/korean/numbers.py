"""Numbers, signs and Latin letters in Korean text, as they are spoken."""

# ruff: noqa: RUF001 -- the signs that people write
from __future__ import annotations

import re
import unicodedata

from sovits_core.text.spans import Rule, SpannedText
from sovits_core.text.word_lists import word_list

# Everything takes its plain width but the ellipsis, and the letters that stand alone, as in laughter.
_FOLDED = re.compile("[^…\u3131-\u318e]+")
_DIGITS = "영일이삼사오육칠팔구"
_PLACES = ("", "십", "백", "천")
_MYRIADS = ("", "만", "억", "조", "경")
# Longer rows of digits are codes, which are read digit by digit.
_LONGEST_QUANTITY = 16
_ONES = ("", "한", "두", "세", "네", "다섯", "여섯", "일곱", "여덟", "아홉")
_TENS = ("", "열", "스물", "서른", "마흔", "쉰", "예순", "일흔", "여든", "아흔")
# What is counted with the native numbers; everything else, minutes too, takes those from Chinese.
_COUNTED = (
    "가지",
    "갈래",
    "걸음",
    "군데",
    "그루",
    "그릇",
    "다발",
    "덩어리",
    "덩이",
    "마디",
    "마리",
    "명",
    "모금",
    "모",
    "묶음",
    "바퀴",
    "발짝",
    "방울",
    "번째",
    "벌",
    "봉지",
    "사람",
    "사발",
    "살",
    "상자",
    "송이",
    "숟가락",
    "스푼",
    "시간",
    "시",
    "쌍",
    "알",
    "자루",
    "자리",
    "잔",
    "장",
    "접시",
    "조각",
    "줄기",
    "줄",
    "차례",
    "채",
    "척",
    "켤레",
    "컵",
    "통",
    "판",
    "포기",
    "해",
    "곳",
    "곡",
    "권",
    "대",
    "달",
    "배",
    "병",
    "개",
    "분이",
    "분께",
    "분을",
    "분의",
    "분은",
    "분만",
    "가구",
    "바구니",
    "박스",
    "번씩",
    "번만",
    "번은",
    "번이나",
    "번을",
    "번 ",
    "스무",
    "팀",
    "주먹",
    "꼬치",
    "단",
    "마당",
    "바가지",
    "근",
    "되",
)
_NOT_COUNTED = (
    "개월",
    "개국",
    "개년",
    "시즌",
    "대학",
    "배수",
    "장관",
    "해리",
    "명령",
    "달러",
    "병원",
    "개발",
    "통계",
    "단계",
    "단지",
    "대표",
    "판정",
    "시스템",
    "근무",
    "되",
    "팀장",
    "모델",
    "장치",
    "곡선",
    "배터리",
    "번지",
    "대 ",
    "대의",
    "대를 ",
    "시리즈",
    "시행",
)
_MOST_COUNTED = 99
_COUNT = re.compile(
    rf"(?<![\d.])(?:(?P<first>\d{{1,2}})[~\-])?(?P<number>\d{{1,2}})"
    rf"(?P<gap>\s?)(?!{'|'.join(map(re.escape, _NOT_COUNTED))})"
    rf"(?P<noun>{'|'.join(map(re.escape, sorted(_COUNTED, key=len, reverse=True)))})"
)
_TIME = re.compile(r"(?<![\d:])([01]?\d|2[0-4]):([0-5]\d)(?::([0-5]\d))?(?![\d:])")
_DATE = re.compile(r"(?<![\d./-])(\d{4})([./-])\s?(\d{1,2})\2\s?(\d{1,2})\.?(?![\d/-])")
_DAY = re.compile(r"(?<![\d./])(1[0-2]|0?[1-9])/(3[01]|[12]\d|0?[1-9])(?=\s?\(|에|일|부터|까지)(?![\d/])")
_CODE = re.compile(r"(?<![\d-])\+?\d+(?:-\d+){2,}(?![\d-])|(?<![\d-])1[56]\d\d-\d{4}(?![\d-])|(?<![\d.,])0\d+(?![\d.])")
_NUMBER = re.compile(r"(?<![\w.])([-+])?(\d+)(?:\.(\d+))?|(\d+)(?:\.(\d+))?")
_CURRENCIES = {"$": "달러", "₩": "원", "¥": "엔", "€": "유로", "£": "파운드", "US$": "달러", "USD": "달러", "KRW": "원"}
_MONEY = re.compile(r"(US\$|USD|KRW|[$₩¥€£])\s?(?:(\d+(?:\.\d+)?)\s?[~-]\s?)?(\d+(?:\.\d+)?)([만억조천백]*)원?")
_UNITS = {
    "%": "퍼센트", "%p": "퍼센트포인트", "℃": "도", "°C": "도", "°F": "도", "°": "도", "kg": "킬로그램",
    "mg": "밀리그램", "g": "그램",
    "t": "톤", "km": "킬로미터", "cm": "센티미터", "mm": "밀리미터", "m": "미터", "ml": "밀리리터", "mL": "밀리리터",
    "cc": "씨씨",
    "l": "리터", "L": "리터", "kB": "킬로바이트", "KB": "킬로바이트", "MB": "메가바이트", "GB": "기가바이트",
    "TB": "테라바이트",
    "m2": "제곱미터", "km2": "제곱킬로미터", "cm2": "제곱센티미터", "m3": "세제곱미터", "kWh": "킬로와트시",
    "kW": "킬로와트",
    "W": "와트", "V": "볼트", "A": "암페어", "mAh": "밀리암페어시", "Hz": "헤르츠", "kHz": "킬로헤르츠",
    "MHz": "메가헤르츠",
    "GHz": "기가헤르츠", "dB": "데시벨", "ha": "헥타르", "kcal": "킬로칼로리", "cal": "칼로리", "hPa": "헥토파스칼",
    "Mbps": "메가비피에스",
    "fps": "에프피에스", "rpm": "알피엠", "px": "픽셀", "ms": "밀리초", "inch": "인치", "ft": "피트",
}  # fmt: skip
_SPEEDS = {
    "km/h": ("시속", "킬로미터"),
    "m/s": ("초속", "미터"),
    "Mb/s": ("초당", "메가비트"),
    "MB/s": ("초당", "메가바이트"),
}
_SPEED = re.compile(rf"(\d+(?:\.\d+)?)\s?({'|'.join(_SPEEDS)})(?![A-Za-z])")
_UNIT = re.compile(rf"(?<=\d)\s?({'|'.join(sorted(map(re.escape, _UNITS), key=len, reverse=True))})(?![A-Za-z\d])")
_SIGNS = {"%": "퍼센트", "&": "앤드", "@": "골뱅이", "+": "플러스", "℃": "도", "°": "도", "#": "샵", "×": "곱하기",
          "÷": "나누기", "±": "플러스마이너스", "㎡": "제곱미터"}  # fmt: skip
_GREEK = dict(
    zip(
        "αβγδεζηθικλμνξοπρσςτυφχψω",
        word_list(
            "알파 베타 감마 델타 엡실론 제타 에타 세타 요타 카파 람다 뮤 뉴 크사이 오미크론 파이 로 시그마 시그마 "
            "타우 입실론 파이 카이 프사이 오메가"
        ),
        strict=True,
    )
)
_LETTERS = {
    "a": "에이", "b": "비", "c": "씨", "d": "디", "e": "이", "f": "에프", "g": "지", "h": "에이치", "i": "아이",
    "j": "제이", "k": "케이", "l": "엘", "m": "엠", "n": "엔", "o": "오", "p": "피", "q": "큐", "r": "아르",
    "s": "에스", "t": "티", "u": "유", "v": "브이", "w": "더블유", "x": "엑스", "y": "와이", "z": "제트",
}  # fmt: skip


def spell_out(text: SpannedText) -> SpannedText:
    """Write numbers, signs and Latin letters in Hangul; white space becomes single spaces."""
    text = text.translate({"\uff0c": "、"}).sub(_FOLDED, lambda match: unicodedata.normalize("NFKC", match[0]))
    text = text.sub(_DOTS, lambda _: "…").apply(_RULES).sub(_EQUALS, _topic, "sum").translate(_SIGNS, "sign")
    text = text.translate(_GREEK | {letter.upper(): name for letter, name in _GREEK.items()}, "sign")
    text = text.sub(_LATIN, lambda match: _LETTERS[match[0].lower()], "letter")
    return text.sub(_PICTURES, lambda _: "").sub(_SPACES, lambda _: " ").strip()


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
    return f"{first}{match[3]}{match[4]}{_CURRENCIES[match[1]]}"


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


def _score(match: re.Match[str]) -> str:
    return f"{_quantity(match[1])} 대 {_quantity(match[2])}"


def _fraction(match: re.Match[str]) -> str:
    return f"{_quantity(match[2])}분의 {_quantity(match[1])}"


def _decimal_digits(digits: str) -> str:
    return "".join(_DIGITS[int(digit)] for digit in digits)


_DOTS = re.compile(r"\.{3,}")
_EQUALS = re.compile(r"\s*=\s*")
_PICTURES = re.compile(r"[^\w\s.,!?…、。:;·\-\"'“”\u2018\u2019「」『』《》〈〉()\[\]{}<>~*_]+")
_LATIN = re.compile("[A-Za-z]")
_SPACES = re.compile(r"\s+")
_RULES = (
    Rule(
        "thousands", re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])"), lambda match: match[0].replace(",", ""), ","
    ),
    Rule("date", _DATE, _date),
    Rule("date", _DAY, lambda match: f"{int(match[1])}월 {int(match[2])}일", "/"),
    Rule("time", _TIME, _time, ":"),
    Rule("score", re.compile(r"(?<![\d:])(\d+):(\d+)(?![\d:])"), _score, ":"),
    Rule("money", _MONEY, _money),
    Rule("speed", _SPEED, lambda match: f"{_SPEEDS[match[2]][0]} {match[1]}{_SPEEDS[match[2]][1]}", "/"),
    Rule("measure", _UNIT, lambda match: _UNITS[match[1]]),
    Rule("number by digits", _CODE, _code),
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
    Rule("count", _COUNT, _count),
    Rule("range", re.compile(r"(?<=[\d년월일시분원명개도층장퍼센트])\s?~\s?(?=\d)"), lambda _: "에서 ", "~"),
    Rule(
        "range",
        re.compile(r"(?<![\d-])(\d+)-(?=\d+(?:[년월일시분원명개도층장주회호살세]|퍼센트|킬로|미터))"),
        lambda match: f"{match[1]}에서 ",
        "-",
    ),
    Rule("number", _NUMBER, _number),
)
