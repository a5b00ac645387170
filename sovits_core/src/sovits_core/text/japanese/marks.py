"""Preprocessing of Japanese text: punctuation, signs, and numbers with their separators."""

from __future__ import annotations

import re
import unicodedata

# Punctuation -> the symbol of its pause.
PAUSES = {
    "、": ",", ",": ",", "\uff0c": ",", "・": ",", "·": ",", ":": ",", "\uff1a": ",", ";": ",", "\uff1b": ",",
    "(": ",", ")": ",", "\uff08": ",", "\uff09": ",", "。": ".", ".": ".", "\uff0e": ".", "\n": ".",
    "!": "!", "\uff01": "!", "?": "?", "\uff1f": "?", "…": "…", "-": "-",
}  # fmt: skip
# Quotes and brackets are silent, but what they enclose is a phrase of its own.
NOT_READ = frozenset("「」『』【】〈〉《》\u3014\u3015[]{}\"“”'\u2018\u2019")
_MARKS = re.escape("".join([*PAUSES, *NOT_READ]).replace(".", ""))
# A full stop between digits is a decimal point, which is read.
MARK = re.compile(rf"((?<!\d)\.|\.(?!\d)|[{_MARKS}])")
# Signs that Open JTalk reads stay; runs end at anything else.
RUN = re.compile(r"[A-Za-z0-9\u3005-\u3007\u3041-\u3096\u30a1-\u30fa\u30fc-\u30fe\u3400-\u9fff%+=&@℃\u2160-\u216b.]+")

# Punctuation, and signs that are read better as they stand than in the letters they are equivalent to.
_UNFOLDED = re.compile(r"[^\uff01\uff1f\uff0c\uff0e\uff1a\uff1b\uff08\uff09…℃\u2160-\u216b]+")
_CURRENCIES = {"$": "ドル", "¥": "円", "€": "ユーロ", "£": "ポンド"}
_MONEY = re.compile(r"([$¥€£])\s?(\d+(?:\.\d+)?)([万億兆]?)")
_DATE = re.compile(r"(?<![\d/-])(\d{4})[/-](\d{1,2})[/-](\d{1,2})(?![\d/-])")
_TIME = re.compile(r"(?<![\d:])([01]?\d|2[0-3]):([0-5]\d)(?![\d:])")
_TELEPHONE = re.compile(r"(?<![\d-])0\d{1,4}-\d{1,4}-\d{3,4}(?![\d-])")
_DIGITS = {
    "0": "ゼロ", "1": "イチ", "2": "ニー", "3": "サン", "4": "ヨン",
    "5": "ゴー", "6": "ロク", "7": "ナナ", "8": "ハチ", "9": "キュー",
}  # fmt: skip


def normalize(text: str) -> str:
    """Fold widths, join the groups of large numbers, and write dates, times and money as they are spoken."""
    text = _UNFOLDED.sub(lambda match: unicodedata.normalize("NFKC", match[0]), text).replace("...", "…")
    text = re.sub(r"[\u2010-\u2015\u2212]", "-", text)
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)
    text = _DATE.sub(lambda match: f"{match[1]}年{int(match[2])}月{int(match[3])}日", text)
    text = _TIME.sub(_time, text)
    text = _TELEPHONE.sub(lambda match: "".join(_DIGITS.get(digit, "の") for digit in match[0]), text)
    text = _MONEY.sub(lambda match: f"{match[2]}{match[3]}{_CURRENCIES[match[1]]}", text)
    text = re.sub(r"(?<=[\d%])\s*[~〜]\s*(?=\d)", "から", text)
    text = re.sub(r"(?<!\w)-(?=\d)", "マイナス", text)
    # After kana a wave makes the vowel long.
    return re.sub(r"(?<=[\u3041-\u30fa])[~〜]+", "ー", text)


def _time(match: re.Match[str]) -> str:
    return f"{int(match[1])}時" + ("" if match[2] == "00" else f"{int(match[2])}分")
