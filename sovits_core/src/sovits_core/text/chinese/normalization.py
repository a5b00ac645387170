"""Chinese text, Mandarin or Cantonese, to simplified characters and the seven marks that the phone tables know."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import TYPE_CHECKING

from sovits_core.errors import MissingExtra
from sovits_core.text.chinese.numbers import cardinal
from sovits_core.text.chinese.quantities import write_out
from sovits_core.text.invisible import fold
from sovits_core.text.roman import to_figures
from sovits_core.text.spans import SpannedText

if TYPE_CHECKING:
    from opencc import OpenCC

MARKS = "!?…,.-"
# Han characters: the basic block, extension A, and the supplementary planes for rare names.
HAN = "\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U000323af"

_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
_POWER = re.compile("(?<=[0-9)\uff09])([⁰¹²³⁴⁵⁶⁷⁸⁹]+)")
_CIRCLED = {chr(0x2460 + index): cardinal(str(index + 1)) for index in range(20)}
# From alpha to omega in the order of their code points; sigma has a second form.
_GREEK_NAMES = [
    "阿尔法", "贝塔", "伽玛", "德尔塔", "艾普西龙", "捷塔", "依塔", "西塔", "艾欧塔", "喀帕", "拉姆达", "缪", "拗",
    "克西", "欧米克伦", "派", "肉", "西格玛", "西格玛", "套", "宇普西龙", "服艾", "器", "普赛", "欧米伽",
]  # fmt: skip
_GREEK = {chr(0x3B1 + index): name for index, name in enumerate(_GREEK_NAMES)}
_SAID = (
    _CIRCLED | _GREEK | {letter.upper(): name for letter, name in _GREEK.items() if letter != "ς"} | {"\u3007": "零"}
)
# A full-width comma parts numbers, and is never the separator of their thousands.
_STOPS = {"\uff0c": "、", "\u2236": ":"}
# Before the letter is read by its name.
_MICRO = re.compile("[\u03bc\u00b5](?=[mgsLlA](?![A-Za-z]))")
_MIXED_NUMBER = re.compile("(?<=[0-9])(?=[¼-¾⅐-⅞])")
_HAN_RUN = re.compile(f"[{HAN}]+")
_LINES = re.compile(r"\s*\n\s*")
# A space between digits separates numbers (a telephone number may hold one); others say nothing.
_IDLE_SPACES = re.compile(r"(?<![0-9\s])\s+|\s+(?![0-9\s])")
_ELLIPSIS = re.compile(r"\.\.\.")
_UNSPOKEN = re.compile(f"[^{HAN}{MARKS}]+")
# Of a row of marks the first is kept: the official front end does so that none leaks into the audio.
_ROW_OF_MARKS = re.compile(r"[!?…,.-][!?…,.-]+")
# "嗯" and "呣" have readings without a vowel, which the tables cannot write.
_MARK_OF = {
        ":": ",", ";": ",", "、": ",", "·": ",", "・": ",", "/": ",", "。": ".", "\uff61": ".", "$": ".", "~": "…",
        "\u2014": "-", "\u2013": "-", "\u2015": "-", "嗯": "恩", "呣": "母",
}  # fmt: skip
# Between measures the slash is "per"; anywhere else it is a pause.
_PER = re.compile(
    "(?<=[元块蚊米里克斤升次个人页字度吨瓦])/(?=(?:分钟|小时|公斤|千克|平方|立方|[秒分时天日周月季年人个次米斤升克吨亩台件位斤股组桌队]))"
)


def normalize(text: SpannedText) -> SpannedText:
    """Return what is to be spoken: simplified Han characters and the marks ! ? … , . - with no two marks in a row.

    Numbers, units and signs are written out. Latin letters, brackets, quotation marks and emoji are dropped, as in the
    official front end: mixed text is to be segmented by language first. Raises MissingExtra where the `zh` or `yue`
    extra is not installed.
    """
    text = (
        to_figures(text.translate(_STOPS))
        .sub(_MICRO, lambda _: "u")
        .sub(_POWER, _power, "power")
        .sub(_MIXED_NUMBER, lambda _: "又")
    )
    text = text.translate(_SAID, "sign")
    text = fold(text, ()).translate(_SAID, "sign").translate({"\u2044": "/"})
    text = simplified(text.replaced("".join(map(_ascii_digit, text.text))))
    text = text.strip().sub(_LINES, lambda _: ".").sub(_IDLE_SPACES, lambda _: "")
    text = write_out(text).sub(_ELLIPSIS, lambda _: "…").sub(_PER, lambda _: "每", "per").translate({" ": ","})
    text = text.translate(_MARK_OF).sub(_UNSPOKEN, lambda _: "")
    return text.sub(_ROW_OF_MARKS, lambda match: match[0][0])


def simplified(text: SpannedText) -> SpannedText:
    """Return the text in simplified characters."""
    if not _HAN_RUN.search(text.text):
        return text
    converted = _simplifier().convert(text.text)
    if len(converted) == len(text):
        return text.replaced(converted)
    return text.sub(_HAN_RUN, lambda match: _simplifier().convert(match[0]))


def _power(match: re.Match[str]) -> str:
    return f"的{cardinal(match[1].translate(_SUPERSCRIPTS))}次方"


def _ascii_digit(character: str) -> str:
    if character.isascii():
        return character
    value = unicodedata.decimal(character, None)
    return character if value is None else str(value)


@cache
def _simplifier() -> OpenCC:
    try:
        from opencc import OpenCC  # noqa: PLC0415 -- an extra, loaded with the first Chinese text
    except ModuleNotFoundError as error:
        raise MissingExtra("Chinese", "zh") from error  # yue brings it too
    return OpenCC("t2s")
