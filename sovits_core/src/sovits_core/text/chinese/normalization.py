"""Chinese text, Mandarin or Cantonese, to simplified characters and the seven marks that the phone tables know."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import TYPE_CHECKING

from sovits_core.errors import MissingExtra
from sovits_core.text.chinese.numbers import cardinal
from sovits_core.text.chinese.quantities import write_out

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
_SAID = str.maketrans(_CIRCLED | _GREEK | {letter.upper(): name for letter, name in _GREEK.items()} | {"\u3007": "零"})
# "嗯" and "呣" have readings without a vowel, which the tables cannot write.
_MARK_OF = str.maketrans(
    {
        ":": ",", ";": ",", "、": ",", "·": ",", "・": ",", "/": ",", "。": ".", "\uff61": ".", "$": ".", "~": "…",
        "\u2014": "-", "\u2013": "-", "\u2015": "-", "嗯": "恩", "呣": "母",
    }
)  # fmt: skip
# Between measures the slash is "per"; anywhere else it is a pause.
_PER = re.compile(
    "(?<=[元块米里克斤升次个人页字度吨瓦])/(?=(?:分钟|小时|公斤|千克|平方|立方|[秒分时天日周月季年人个次米斤升克吨亩台件位斤]))"
)


def normalize(text: str) -> str:
    """Return what is to be spoken: simplified Han characters and the marks ! ? … , . - with no two marks in a row.

    Numbers, units and signs are written out. Latin letters, brackets, quotation marks, emoji and other scripts are
    dropped, as in the official front end: mixed text is to be segmented by language first. Raises MissingExtra where
    the `zh` or `yue` extra is not installed.
    """
    text = _POWER.sub(lambda match: f"的{cardinal(match[1].translate(_SUPERSCRIPTS))}次方", text)
    text = re.sub("(?<=[0-9])(?=[¼-¾⅐-⅞])", "又", text)
    text = unicodedata.normalize("NFKC", text.translate(_SAID)).translate(_SAID).replace("\u2044", "/")
    text = "".join(_ascii_digit(character) for character in text)
    text = text.encode(errors="ignore").decode()  # lone surrogates, which opencc cannot take
    text = _simplifier().convert(text)
    text = re.sub(r"\s*\n\s*", ".", text.strip())
    # A space between digits separates numbers (a telephone number may hold one); others say nothing.
    text = re.sub(r"(?<![0-9\s])\s+|\s+(?![0-9\s])", "", text)
    text = write_out(text)
    text = _PER.sub("每", text.replace("...", "…")).replace(" ", ",")
    text = re.sub(f"[^{HAN}{MARKS}]", "", text.translate(_MARK_OF))
    # Of a row of marks the first is kept: the official front end does so that none leaks into the audio.
    return re.sub(r"([!?…,.-])[!?…,.-]+", r"\1", text)


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
