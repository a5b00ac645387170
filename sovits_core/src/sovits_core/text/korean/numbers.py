"""Numbers, signs and Latin letters in Korean text, as they are spoken."""

from __future__ import annotations

import re
import unicodedata

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
    "가지", "갈래", "걸음", "군데", "그루", "그릇", "다발", "덩어리", "덩이", "마디", "마리", "명",
    "모금", "모", "묶음", "바퀴", "발짝", "방울", "번째", "벌", "봉지", "사람", "사발", "살",
    "상자", "송이", "숟가락", "시간", "시", "쌍", "알", "자루", "자리", "잔", "장", "접시",
    "조각", "줄기", "줄", "차례", "채", "척", "켤레", "컵", "통", "판", "포기", "해",
    "곳", "곡", "권", "대", "달", "배", "병", "개",
)  # fmt: skip
_NOT_COUNTED = ("개월", "개국", "개년", "시즌", "대학", "배수", "장관", "해리", "명령", "달러", "병원", "개발", "통계")
_COUNT = re.compile(
    rf"(?<![\d.])(\d{{1,2}})(\s?)(?!{'|'.join(_NOT_COUNTED)})"
    rf"({'|'.join(sorted(_COUNTED, key=len, reverse=True))})"
)
_TIME = re.compile(r"(?<![\d:])([01]?\d|2[0-4]):([0-5]\d)(?![\d:])")
_DATE = re.compile(r"(?<![\d./-])(\d{4})([./-])(\d{1,2})\2(\d{1,2})(?![\d/-])")
_CODE = re.compile(r"(?<![\d-])\d+(?:-\d+){2,}(?![\d-])|(?<![\d.,])0\d+(?![\d.])")
_NUMBER = re.compile(r"(?<![\w.])([-+])?(\d+)(?:\.(\d+))?|(\d+)(?:\.(\d+))?")
_MONEY = re.compile(r"([$₩¥€£])\s?(\d+(?:\.\d+)?)([만억조천백]*)")
_CURRENCIES = {"$": "달러", "₩": "원", "¥": "엔", "€": "유로", "£": "파운드"}
_UNITS = {
    "%": "퍼센트", "℃": "도", "°C": "도", "°": "도", "kg": "킬로그램", "mg": "밀리그램", "g": "그램", "t": "톤",
    "km": "킬로미터", "cm": "센티미터", "mm": "밀리미터", "m": "미터", "ml": "밀리리터", "mL": "밀리리터",
    "l": "리터", "L": "리터", "kB": "킬로바이트", "MB": "메가바이트", "GB": "기가바이트",
}  # fmt: skip
_UNIT = re.compile(rf"(?<=\d)\s?({'|'.join(sorted(map(re.escape, _UNITS), key=len, reverse=True))})(?![A-Za-z])")
_SIGNS = {"%": "퍼센트", "&": "앤드", "@": "골뱅이", "+": "플러스", "=": "는", "℃": "도", "°": "도", "#": "샵"}
_LETTERS = {
    "a": "에이", "b": "비", "c": "씨", "d": "디", "e": "이", "f": "에프", "g": "지", "h": "에이치", "i": "아이",
    "j": "제이", "k": "케이", "l": "엘", "m": "엠", "n": "엔", "o": "오", "p": "피", "q": "큐", "r": "아르",
    "s": "에스", "t": "티", "u": "유", "v": "브이", "w": "더블유", "x": "엑스", "y": "와이", "z": "제트",
}  # fmt: skip


def spell_out(text: str) -> str:
    """Write numbers, signs and Latin letters in Hangul; white space becomes single spaces."""
    text = _FOLDED.sub(lambda match: unicodedata.normalize("NFKC", match[0]), text)
    text = re.sub(r"\.{3,}", "…", text)
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)
    text = _DATE.sub(lambda match: f"{match[1]}년 {int(match[3])}월 {int(match[4])}일", text)
    text = _TIME.sub(lambda match: f"{int(match[1])}시" + ("" if match[2] == "00" else f" {int(match[2])}분"), text)
    text = _MONEY.sub(lambda match: f"{match[2]}{match[3]}{_CURRENCIES[match[1]]}", text)
    text = _UNIT.sub(lambda match: _UNITS[match[1]], text)
    text = _CODE.sub(lambda match: " ".join(map(_digits, match[0].split("-"))), text)
    text = re.sub(r"(?<=\d)\s?~\s?(?=\d)", "에서 ", text)
    # Two months have lost a sound.
    text = re.sub(r"(?<!\d)0?(6|10)(?=월)", lambda match: {"6": "유", "10": "시"}[match[1]], text)
    text = _COUNT.sub(_count, text)
    text = _NUMBER.sub(_number, text)
    text = "".join(_SIGNS.get(character, character) for character in text)
    text = re.sub("[A-Za-z]", lambda match: _LETTERS[match[0].lower()], text)
    return re.sub(r"\s+", " ", text).strip()


def _count(match: re.Match[str]) -> str:
    number = int(match[1])
    hours = match[3] == "시"
    if number == 0 or (hours and number > 12):
        return match[0]
    words = "스무" if number == 20 else _TENS[number // 10] + _ONES[number % 10]
    return f"{words}{match[2] or ' '}{match[3]}"


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


def _decimal_digits(digits: str) -> str:
    return "".join(_DIGITS[int(digit)] for digit in digits)
