"""Segments of a text by language, told by script alone, so that the same text is always segmented alike."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from enum import Enum, auto
from itertools import groupby
from typing import NamedTuple

from sovits_core.text.roman import NUMERAL

# Mode -> the language of Han characters and of all else that is no other language's script; None: by its neighbours.
AUTOMATIC = {"auto": "zh", "auto_yue": "yue"}
EVERYTHING = {"all_zh": "zh", "all_yue": "yue", "all_ja": "ja", "all_ko": "ko"}


class Segment(NamedTuple):
    """A part of a text in one language."""

    language: str
    text: str


class Script(Enum):
    """The scripts that tell languages apart."""

    LATIN = auto()
    KANA = auto()
    HANGUL = auto()
    HAN = auto()
    DIGIT = auto()
    OPENING = auto()
    """Brackets and quotes that belong to what follows."""
    NEUTRAL = auto()


_CHINESE_LANGUAGES = frozenset(["zh", "yue"])
_OTHERS = frozenset(["ja", "ko"])
_EAST_ASIAN = _CHINESE_LANGUAGES | _OTHERS
_LETTER = {Script.LATIN: "en", Script.KANA: "ja", Script.HANGUL: "ko"}
# Common in Chinese and in no Japanese text, although the Japanese standard has them.
_CHINESE = frozenset("很嗎吧呢麼她您啊喔哦啦說")
_SENTENCE = re.compile(r"[^。.!?\uff01\uff1f\n]*(?:[。!?\uff01\uff1f\n]+|\.+(?!\d)|\.|$)")
_KANA = re.compile(r"[\u3041-\u309f\u30a1-\u30ff\u31f0-\u31ff\uff66-\uff9f]")
_HAN = re.compile(r"[\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]")
# Words that a lexicon reads in English.
_PLACEHOLDER = re.compile(r"[\ue000-\uf8ff]")
# Letters in a style that are signs of measures and ordinals.
_SIGNS = frozenset("ªºℓ")
_ZERO = "\u3007"  # a letter of no standard, used in both
# After a number these are read in the language around them, and so are the names of currencies beside one.
_UNIT = re.compile(
    r"(?<=[0-9万亿億])\s?(?:[kmcdnuμµ]?m[23²³]?|[kmμ]?g|[mc]?[lL]|ML|[kKMGT]B|[kMG]?bps|[kMG]?W|kWh|MWh|[mk]?V|mA|mAh|[kMGT]?Hz|dB|k?cal|k?J|"
    r"[hkM]?Pa|rpm|fps|px|ha|lb|ft|oz|in|hp|t|A(?![\u4e00-\u9fff])|A(?=[电電的])|N|ms|s|min|h|°[CF])(?:/(?:km|cm|m|h|s|min|d|kg|g|L))?(?:\^?[23²³])?(?![A-Za-z])"
    r"|(?<=[0-9]%)p(?![A-Za-z])|(?:US|HK|NT)(?=\$\s?[0-9])|(?<![A-Za-z])(?:USD|RMB|CNY|EUR|GBP|JPY|KRW|HKD)(?=\s?[0-9])"
    r"|(?<=[0-9])\s?(?:USD|RMB|CNY|EUR|GBP|JPY|KRW|HKD)(?![A-Za-z])|(?<=[0-9])\s?[xX]\s?(?=[0-9])"
)
# The number of what a letter names (5G, 4K, 3D) is Chinese in Chinese.
_BEFORE_LETTER = re.compile(r"(?<![A-Za-z0-9.])[0-9]+(?=[A-Z](?![A-Za-z0-9]))")
_HAN_OR_KANA = re.compile(rf"(?:{_HAN.pattern}|{_KANA.pattern})+")
_HANGUL = re.compile(r"[\u1100-\u11ff\u3130-\u318f\uac00-\ud7af]")


def segments(text: str, mode: str) -> list[Segment]:
    """Return the parts of a text in order; joined they are the text, and neighbours differ in language.

    `mode` is a language, which then has the Han characters (`en` has everything), or one of the mixed modes: `auto` and
    `auto_yue` tell Japanese from Chinese by what stands beside Han characters, and `all_…` is that language for
    everything but English. Digits, signs and punctuation go with their neighbours.
    """
    if mode == "en" or not text:
        return [Segment("en", text)] if text else []
    if mode in EVERYTHING:
        home = EVERYTHING[mode]
        return _joined(text, [home if language in _OTHERS else language for language in _letters(text, home)], home)
    if mode in AUTOMATIC:
        home = AUTOMATIC[mode]
        languages = [language for sentence in _SENTENCE.findall(text) for language in _guessed(sentence, home)]
        return _joined(text, languages, home)
    return _joined(text, _letters(text, mode), mode)


def _script(character: str) -> Script:
    if character.isascii():
        if character.isalpha():
            return Script.LATIN
        return Script.DIGIT if character.isdigit() else Script.OPENING if character in "([{" else Script.NEUTRAL
    for script, pattern in (
        (Script.LATIN, _PLACEHOLDER),
        (Script.KANA, _KANA),
        (Script.HAN, _HAN),
        (Script.HANGUL, _HANGUL),
    ):
        if pattern.match(character):
            return script
    if character.isalpha() and _is_latin(character):
        return Script.LATIN
    category = unicodedata.category(character)
    if category == "Nd":
        return Script.DIGIT
    return Script.OPENING if category in {"Ps", "Pi"} else Script.NEUTRAL


def _is_latin(letter: str) -> bool:
    """Say whether it is a letter of Latin, or one in the style of a formula or above the line."""
    if unicodedata.name(letter, "").startswith(("LATIN", "FULLWIDTH LATIN")):
        return True
    plain = unicodedata.normalize("NFKC", letter)
    return letter not in _SIGNS and plain.isascii() and plain.isalpha()


def _letters(text: str, han: str) -> list[str | None]:
    """Return each character's language by its script alone; None where its neighbours decide."""
    found: list[str | None] = []
    for character in text:
        script = _script(character)
        found.append(han if script is Script.HAN else _LETTER.get(script))
    for match in (*_UNIT.finditer(text), *(NUMERAL.finditer(text) if set(found) & _EAST_ASIAN else ())):
        found[match.start() : match.end()] = [None] * len(match[0])
    if han in _CHINESE_LANGUAGES and han in found:
        for match in _BEFORE_LETTER.finditer(text):
            found[match.start() : match.end()] = [han] * len(match[0])
    return found


def _guessed(sentence: str, chinese: str) -> list[str | None]:
    """Like `_letters`, with Han characters Japanese where the sentence says so."""
    languages = _letters(sentence, chinese)
    # A row of Han and kana, with nothing between them, is in one language.
    rows = [(match.span(), _written_in(match[0])) for match in _HAN_OR_KANA.finditer(sentence)]
    written = {language for _, language in rows}
    for (start, end), language in rows:
        # What could be either goes with the rest of the sentence: a quotation in kana makes no Chinese Japanese.
        if language == "ja" or (language is None and "ja" in written and "zh" not in written):
            languages[start:end] = ["ja"] * (end - start)
    return languages


def _written_in(row: str) -> str | None:
    """Return "zh" or "ja" for characters that only one of the writing systems has, then "ja" for kana, else None."""
    han = _HAN.findall(row)
    if any(character in _CHINESE or not _encodes(character, "shift_jis") for character in han if character != _ZERO):
        return "zh"  # simplified, or not used in Japan
    made_in_japan = any(not _encodes(character, "gb2312") and not _encodes(character, "big5") for character in han)
    return "ja" if made_in_japan or _KANA.search(row) else None


def _encodes(character: str, standard: str) -> bool:
    try:
        character.encode(standard)
    except UnicodeEncodeError:
        return False
    return True


def _joined(text: str, languages: list[str | None], default: str) -> list[Segment]:
    """Give undecided characters the language of a neighbour, and join neighbours of one language."""
    scripts = [_script(character) for character in text]
    filled = list(languages)
    for start, end in _undecided(languages):
        before = languages[start - 1] if start else None
        after = languages[end] if end < len(text) else None
        border = _border(scripts[start:end]) + start
        touches = after is None and scripts[start] is Script.DIGIT and default in languages
        if before == "en" and _numbers_a_name(scripts, start, end) and (after == default or touches):
            # The number of what an English word names (iPhone15, Windows 11) is read in the language around it.
            border, after = _first_digit(scripts, start, end), default
        filled[start:border] = [before or after or default] * (border - start)
        filled[border:end] = [after or before or default] * (end - border)
    return [
        Segment(language or default, "".join(character for character, _ in run))
        for language, run in groupby(zip(text, filled, strict=True), lambda pair: pair[1])
    ]


def _numbers_a_name(scripts: list[Script], start: int, end: int) -> bool:
    """Say whether a row of characters that follow a word begins with a number, after at most one sign."""
    at = _first_digit(scripts, start, end)
    return at < end and at - start <= 1


def _first_digit(scripts: list[Script], start: int, end: int) -> int:
    return next((at for at in range(start, end) if scripts[at] is Script.DIGIT), end)


def _undecided(languages: list[str | None]) -> Iterator[tuple[int, int]]:
    """Yield start and end of the rows of characters without a language of their own."""
    place = 0
    for decided, run in groupby(languages, lambda language: language is not None):
        length = len(list(run))
        if not decided:
            yield place, place + length
        place += length


def _border(scripts: list[Script]) -> int:
    """Return how many of the characters between two words belong to the first: the rest belong to the second.

    What is written without a gap belongs together (`B12`, `第3`, `3個`), the word before first; punctuation ends the
    word before it, and an opening bracket begins the one after it.
    """
    opening = next((place for place, script in enumerate(scripts) if script is Script.OPENING), len(scripts))
    last_break = max((place for place, script in enumerate(scripts) if script is Script.NEUTRAL), default=-1)
    if scripts[0] is Script.DIGIT:
        return opening
    # digits that touch the second word only
    return min(opening, last_break + 1) if scripts[-1] is Script.DIGIT else opening
