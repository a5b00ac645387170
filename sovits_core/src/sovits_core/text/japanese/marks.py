"""Preprocessing of Japanese text: punctuation, signs, and numbers with their separators."""

# ruff: noqa: RUF001 -- the signs that people write
from __future__ import annotations

import re
import unicodedata

from sovits_core.text.invisible import fold
from sovits_core.text.roman import to_figures
from sovits_core.text.spans import DIGITS, Rule, SpannedText
from sovits_core.text.word_lists import word_list

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
_UNFOLDED = frozenset("\uff01\uff1f\uff0c\uff0e\uff1a\uff1b\uff08\uff09…℃" + "".join(map(chr, range(0x2160, 0x216C))))
_CURRENCIES = {"$": "ドル", "¥": "円", "€": "ユーロ", "£": "ポンド", "₩": "ウォン", "US$": "米ドル"}
_UNITS = {
    "km/h": "キロメートル毎時", "m/s": "メートル毎秒", "Mbps": "メガビーピーエス", "km": "キロメートル",
    "cm": "センチメートル",
    "mm": "ミリメートル", "m": "メートル", "kg": "キログラム", "mg": "ミリグラム", "g": "グラム", "t": "トン",
    "ml": "ミリリットル",
    "mL": "ミリリットル", "L": "リットル", "l": "リットル", "km2": "平方キロメートル", "m2": "平方メートル",
    "cm2": "平方センチメートル",
    "m3": "立方メートル", "kWh": "キロワット時", "kW": "キロワット", "W": "ワット", "V": "ボルト", "A": "アンペア",
    "mA": "ミリアンペア",
    "mAh": "ミリアンペアアワー", "Hz": "ヘルツ", "kHz": "キロヘルツ", "MHz": "メガヘルツ", "GHz": "ギガヘルツ",
    "KB": "キロバイト",
    "MB": "メガバイト", "GB": "ギガバイト", "TB": "テラバイト", "dB": "デシベル", "ha": "ヘクタール",
    "kcal": "キロカロリー",
    "cal": "カロリー", "hPa": "ヘクトパスカル", "Pa": "パスカル", "ms": "ミリ秒", "px": "ピクセル", "ft": "フィート",
    "mph": "マイル毎時",
    "°C": "度", "℃": "度", "°F": "度", "°": "度",
}  # fmt: skip
_UNIT_NAMES = "|".join(re.escape(unit) for unit in sorted(_UNITS, key=len, reverse=True))
_DIGITS = {
    "0": "ゼロ", "1": "イチ", "2": "ニー", "3": "サン", "4": "ヨン",
    "5": "ゴー", "6": "ロク", "7": "ナナ", "8": "ハチ", "9": "キュー",
}  # fmt: skip
_TO = r"\s*[-~〜\u2010-\u2015]\s*"
_NUMBER = r"\d+(?:\.\d+)?"
_GREEK = dict(
    zip(
        "αβγδεζηθικλμνξοπρσςτυφχψω",
        word_list(
            "アルファ ベータ ガンマ デルタ イプシロン ゼータ イータ シータ イオタ カッパ ラムダ ミュー ニュー "
            "クサイ オミクロン パイ ロー シグマ"
            " シグマ タウ ウプシロン ファイ カイ プサイ オメガ"
        ),
        strict=True,
    )
)


def _by_digits(match: re.Match[str]) -> str:
    return "".join(_DIGITS.get(digit, "の") for digit in match[0])


def _time(match: re.Match[str]) -> str:
    second = f"{int(match[3])}秒" if match[3] else ""
    return f"{int(match[1])}時" + ("" if match[2] == "00" and not second else f"{int(match[2])}分") + second


def _money(match: re.Match[str]) -> str:
    first = f"{match['first']}から" if match["first"] else ""
    unit = _CURRENCIES[match["sign"]]
    return f"{'マイナス' if match['minus'] else ''}{first}{match['number']}{match['scale']}{unit}"


def _dotted(match: re.Match[str]) -> str:
    return "テン".join(map(_called_out, match[0].split(".")))


def _date(match: re.Match[str]) -> str:
    return f"{match[1]}年{int(match[2])}月{int(match[3])}日"


def _telephone(match: re.Match[str]) -> str:
    country = f"プラス{_called_out(match['country'])}の" if match["country"] else ""
    return country + _called_out(match["rest"].strip("()").replace(")", "-").replace("--", "-"))


def _called_out(digits: str) -> str:
    return "".join(_DIGITS.get(digit, "の") for digit in digits)


def _ends_in_eight(match: re.Match[str]) -> str:
    return (f"{match[1]}0" if match[1] else "") + _AFTER_EIGHT[match[2]]


def _between_days(match: re.Match[str]) -> str:
    return f"{int(match[1])}月{int(match[2])}日から{int(match[3])}月{int(match[4])}日"


# Counters that Open JTalk says without the change of sound after an eight.
_AFTER_EIGHT = {"個": "はっこ", "分": "はっぷん", "か月": "はっかげつ", "ヶ月": "はっかげつ"}
_DAYS_OF_WEEK = {"月": "げつ", "火": "か", "水": "すい", "木": "もく", "金": "きん", "土": "ど", "日": "にち"}
_BEFORE_NUMBERS = {"√": "ルート", "±": "プラスマイナス", "≒": "約"}
_VOICED = "\u3099"
_RULES = (
    Rule("company", re.compile(r"\((株|有)\)"), lambda m: {"株": "株式会社", "有": "有限会社"}[m[1]], "("),
    Rule("list", re.compile(r"^\s*[・•]\s*"), lambda _: "", "・•"),
    Rule(
        "repetition",
        re.compile("([\u3041-\u3096])([ゝゞ])"),
        lambda m: m[1] * 2 if m[2] == "ゝ" else m[1] + unicodedata.normalize("NFC", m[1] + _VOICED),
        "ゝゞ",
    ),
    Rule(
        "weekday",
        re.compile(
            r"(?<=日)\(([月火水木金土日])\)|(?<=\d/\d)\(([月火水木金土日])\)|(?<=\d/\d\d)\(([月火水木金土日])\)"
        ),
        lambda m: f"({_DAYS_OF_WEEK[m[1] or m[2] or m[3]]})",
        "(",
    ),
    Rule(
        "weekdays",
        re.compile(r"(?<![\u4e00-\u9fff\d])([月火水木金土日])[~〜-]([月火水木金土日])(?![\u4e00-\u9fff\d])"),
        lambda m: f"{_DAYS_OF_WEEK[m[1]]}から{_DAYS_OF_WEEK[m[2]]}",
        "~〜-",
    ),
    Rule(
        "telephone number",
        re.compile(r"(?<![\w-])\+(?P<country>\d{1,3})-(?P<rest>\d{1,4}(?:-\d{2,4}){2})(?![\d-])"),
        _telephone,
        "+",
    ),
    Rule(
        "telephone number",
        re.compile(r"(?P<country>)(?P<rest>\(0\d{1,4}\)\s?\d{1,4}-\d{4})(?![\d-])"),
        _telephone,
        "(",
    ),
    Rule("address", re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])"), _dotted, "."),
    Rule(
        "dates",
        re.compile(
            r"(?<![\d/])(1[0-2]|0?[1-9])/(3[01]|[12]\d|0?[1-9])\s?[~〜-]\s?(1[0-2]|0?[1-9])/(3[01]|[12]\d|0?[1-9])(?![\d/])"
        ),
        _between_days,
        "/",
    ),
    Rule(
        "score",
        re.compile(r"(?<![\d-])(\d{1,3})-(\d{1,3})(?=で?(?:勝|敗|負|辛勝|快勝|圧勝|引き分け|リード))"),
        lambda m: f"{m[1]}たい{m[2]}",
        "-",
    ),
    Rule("comparison", re.compile(r"(?<=\d)\s?([<>])\s?(?=\d)"), lambda m: "小なり" if m[1] == "<" else "大なり", "<>"),
    Rule("sum", re.compile(r"([√±≒])\s?(?=\d)"), lambda m: _BEFORE_NUMBERS[m[1]], "√±≒"),
    Rule("plus", re.compile(r"(?<![\w)\]])\+(?=\d)"), lambda _: "プラス", "+"),
    Rule("inning", re.compile(r"(?<=\d回)([表裏])"), lambda m: {"表": "おもて", "裏": "うら"}[m[1]], "回"),
    Rule("people", re.compile(r"(?<!\d)2人(?=組|きり|暮らし|乗り|とも|三脚)"), lambda _: "ふたり", "人"),
    Rule("per", re.compile(r"(?<=\d円)/(?=[個本枚人回月年日時hkgmL])"), lambda _: "パー", "/"),
    Rule(
        "thousands", re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])"), lambda match: match[0].replace(",", ""), ","
    ),
    Rule(
        "date",
        re.compile(r"(?<![\d/.-])(\d{4})[/.-](0?[1-9]|1[0-2])[/.-](0?[1-9]|[12]\d|3[01])(?![\d/-])"),
        _date,
        DIGITS,
    ),
    Rule(
        "date",
        re.compile(r"(?<![\d/])(0?[1-9]|1[0-2])/(0?[1-9]|[12]\d|3[01])(?=\s*\(|に|の|は|から|まで)(?<=[1-9\d])"),
        lambda match: f"{int(match[1])}月{int(match[2])}日",
        "/",
    ),
    Rule("time", re.compile(r"(?<![\d:])([01]?\d|2[0-4]):([0-5]\d)(?::([0-5]\d))?(?![\d:])"), _time, ":"),
    Rule("ratio", re.compile(r"(?<![\d:])(\d+):(\d+)(?![\d:])"), lambda match: f"{match[1]}たい{match[2]}", ":"),
    Rule("ratio", re.compile(r"(?<=\d)対(?=\d)"), lambda _: "たい", "対"),
    Rule("age", re.compile(r"(?<![\d.])20[歳才]"), lambda _: "はたち", "歳才"),
    Rule("telephone number", re.compile(r"(?<![\d-])0\d{1,4}-\d{1,4}-\d{3,4}(?![\d-])"), _by_digits, "-"),
    Rule(
        "postal code",
        re.compile(r"〒\s?(\d{3}-\d{4})"),
        lambda match: f"郵便番号{''.join(_DIGITS.get(digit, 'の') for digit in match[1])}",
        "〒",
    ),
    Rule("version", re.compile(r"(?<![\d.])\d+(?:\.\d+){2,}(?![\d.])"), lambda match: match[0].replace(".", "点"), "."),
    Rule(
        "money",
        re.compile(
            rf"(?P<minus>-)?(?P<sign>US\$|[$¥€£₩])\s?(?:(?P<first>{_NUMBER})"
            rf"{_TO}[$¥€£₩]?)?(?P<number>{_NUMBER})(?P<scale>[千百]?[万億兆]?)円?"
        ),
        _money,
        "$¥€£₩",
    ),
    Rule(
        "percentage",
        re.compile(rf"({_NUMBER})%?{_TO}({_NUMBER})%"),
        lambda match: f"{match[1]}から{match[2]}パーセント",
        "%",
    ),
    Rule(
        "fraction",
        re.compile(r"(?<![\d/])(\d{1,3})/(\d{1,3})(?![\d/])"),
        lambda match: f"{match[2]}分の{match[1]}",
        "/",
    ),
    Rule(
        "sum",
        re.compile(rf"(?<![\d.])({_NUMBER}(?:\s?[-+×*÷]\s?{_NUMBER})+)\s?=\s?(?=[-\d])"),
        lambda match: _sum(match[1]) + "は",
        "=",
    ),
    Rule("sum", re.compile(rf"(?<=\d)\s?([+×÷])\s?(?={_NUMBER})"), lambda match: _SIGNS[match[1]], "+×÷"),
    Rule(
        "measure",
        re.compile(rf"(?<![\d.])({_NUMBER})(?:{_TO}({_NUMBER}))?\s?({_UNIT_NAMES})(?![A-Za-z\d])"),
        lambda match: f"{match[1]}{f'から{match[2]}' if match[2] else ''}{_UNITS[match[3]]}",
        DIGITS,
    ),
    Rule("sum", re.compile(r"(?<=[\dトルムチ])\s?×\s?(?=\d)"), lambda _: "掛ける", "×"),
    Rule("midnight", re.compile(r"(?<![\d.])0時(?!間)"), lambda _: "レージ", "時"),
    Rule("count", re.compile(r"(?<![\d.])(\d{0,2})8(個|分(?!の)|か月|ヶ月)"), _ends_in_eight, "8"),
    Rule(
        "range",
        re.compile(r"(?<=[\d%年月日時分円人個回本枚階歳度半])\s*[~〜]\s*(?=\d|午前|午後|翌|正午|マイナス|-\d)"),
        lambda _: "から",
        "~〜",
    ),
    Rule("range", re.compile(r"(?<=[\u4e00-\u9fff])[~〜](?=[\u4e00-\u9fff])"), lambda _: "から", "~〜"),
    Rule(
        "range",
        re.compile(
            r"(?<![\d-])(\d+)\s?[-\u2013]\s?(\d+)(?=[年月日時分円人個回本枚階歳章頁匹冊台週ヶか話巻位号組名室番丁]|ページ|パーセント)"
        ),
        lambda match: f"{match[1]}から{match[2]}",
        "-\u2013",
    ),
    Rule("minus", re.compile(r"(?:(?<!\w)|(?<=[はがもをにで]))-(?=\d)"), lambda _: "マイナス", "-"),
    # After kana a wave makes the vowel long.
    Rule("long vowel", re.compile(r"(?<=[\u3041-\u30fa])[~〜]+"), lambda _: "ー", "~〜"),
)
_SIGNS: dict[str, str] = {"+": "足す", "-": "引く", "×": "掛ける", "*": "掛ける", "÷": "割る"}
_DASHES = re.compile(r"[\u2010-\u2015\u2212]")
_DOTS = re.compile(r"\.\.\.+")
_STOPS = {"\uff0c": "、"}
# Of a row of marks the first is heard, as in Chinese.
_ROW_OF_MARKS = re.compile(r"[!?\uff01\uff1f…。][!?\uff01\uff1f…。]+")


def _first(match: re.Match[str]) -> str:
    return match[0][0]


def _sum(terms: str) -> str:
    return re.sub(r"\s?([-+×*÷])\s?", lambda sign: _SIGNS[sign[1]], terms)


def normalize(text: SpannedText) -> SpannedText:
    """Fold widths, join the groups of large numbers, and write dates, times, measures and money as they are spoken."""
    text = text.translate(_STOPS)
    text = fold(text, _UNFOLDED).sub(_DOTS, lambda _: "…")
    text = text.sub(_DASHES, lambda _: "-").translate(
        _GREEK | {letter.upper(): name for letter, name in _GREEK.items()}
    )
    return to_figures(text.translate({"\u2044": "/"})).apply(_RULES).sub(_ROW_OF_MARKS, _first)
