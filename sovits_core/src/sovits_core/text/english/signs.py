"""Signs in English text: what is said for them, and which marks remain."""

# ruff: noqa: RUF001 -- the signs that people write
from __future__ import annotations

import re
import unicodedata
from typing import Final

from sovits_core.text.spans import Rule, SpannedText
from sovits_core.text.word_lists import word_list

_QUOTES: Final = {
    "\u2019": "'", "\u2018": "'", "\u02bc": "'", "`": "'", "\u00b4": "'", "\u2032": "'", "\u201b": "'", "\u201a": "",
    "“": "", "”": "", "„": "", "‟": "", '"': "", "«": "", "»": "", "\u2033": "", "‹": "", "›": "", "…": "...",
    "_": " ", "*": " ",
    "\u2212": "-", "\u2010": "-", "\u2011": "-",
}  # fmt: skip
_NAMES: Final = {
    "&": "and", "@": "at", "%": "percent", "+": "plus", "=": "equals", "°": "degrees", "#": "number", "§": "section",
    "¶": "paragraph", "™": "", "®": "", "©": "copyright", "±": "plus or minus", "√": "square root of", "∞": "infinity",
    "≤": "less than or equal to", "≥": "greater than or equal to", "≠": "not equal to", "≈": "about", "×": "times",
    "÷": "divided by", "∑": "sum", "∫": "integral", "∂": "partial", "∈": "in", "∅": "empty set", "∀": "for all",
    "∃": "there exists", "∴": "therefore", "→": ",", "←": ",", "⇒": ",", "•": ",", "·": ",", "|": ",", "€": "euros",
    "$": "dollars", "£": "pounds", "¥": "yen", "¢": "cents", "^": "caret", "~": " ", "<": " ", ">": " ",
    "\\": "backslash",
    "№": "number", "℃": "degrees Celsius", "℉": "degrees Fahrenheit", "Ω": "ohms", "µ": "micro",
}  # fmt: skip
_GREEK: Final = dict(
    zip(
        "αβγδεζηθικλμνξοπρςστυφχψω",
        word_list(
            "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma sigma tau "
            "upsilon phi chi psi omega"
        ),
        strict=True,
    )
)
# Latin letters that no accent can be taken from.
_LETTERS: Final = {
    "ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i", "ħ": "h", "ŋ": "ng",
    "ə": "e", "ƒ": "f", "ŧ": "t", "ĸ": "k", "ſ": "s", "ɑ": "a", "ɛ": "e", "ɔ": "o", "ʻ": "'", "ʼ": "'",
}  # fmt: skip
_TRANSLITERATED: Final = _LETTERS | {
    letter.upper(): word.capitalize() for letter, word in _LETTERS.items() if len(letter.upper()) == 1
}
_ROMAN_SIGN: Final = re.compile(r"[\u2160-\u216b\u2170-\u217b]")
_FRACTION: Final = re.compile(r"(\d?)([¼-¾⅐-⅞])")
# Kept from compatibility folding: powers, degrees, and letters that would become others.
_FOLDED: Final = re.compile(r"[^\x00-\x7f⁰¹²³⁴⁵⁶⁷⁸⁹⁻°º℃℉™№µΩ…′″]")
# Before a quotation it makes no pause, as in the official front end.
_COLON: Final = re.compile(r"(?<=\w):(?=\s+\w)")
_MARKS: Final = re.compile(r"[.,!?](?:[\s.,!?]*[.,!?])?")


def _function(match: re.Match[str]) -> str:
    return f"{match[1].upper()}{' prime' if match[2] else ''} of {'Ay' if match[3] == 'a' else match[3].upper()}"


def _roman(match: re.Match[str]) -> str:
    """Write a numeral that is one character in figures."""
    return f" {(ord(match[0]) - 0x2160) % 16 + 1}"


# For the whole text, before numbers are looked at.
FIRST = (
    Rule("sign", re.compile(r"(?<=[A-Za-z])\+\+"), lambda _: " plus plus", "+"),
    Rule("sign", re.compile(r"\b([CF])#"), lambda match: f"{match[1]} sharp", "#"),
    Rule("sign", re.compile(r"(?<!\w)\.NET\b"), lambda _: "dot net", "."),
    Rule("sign", re.compile(r"\b([A-F])\+(?!\w)"), lambda match: f"{'Ay' if match[1] == 'A' else match[1]} plus", "+"),
    Rule(
        "sign",
        re.compile(r"\b([A-F])[-\u2212](?=[\s,.!?]|$)(?!\s\w)"),
        lambda match: f"{'Ay' if match[1] == 'A' else match[1]} minus",
        "-",
    ),
    Rule(
        "sign", re.compile(r"\b([A-Z])\s?[-\u2013]\s?([A-Z])\b(?!\.)(?<=A[-\u2013]Z)"), lambda _: "Ay to Z", "-\u2013"
    ),
    Rule("heart", re.compile(r"(?<=\bI )[❤♥♡]\s?(?=\w)"), lambda _: "love ", "❤♥♡"),
    Rule("sign", re.compile(r"(?<=\w)'n'|'n'(?=\s)"), lambda _: " n", "'"),
    Rule(
        "sign", re.compile(r"(?<=\d)(\s?(?:[mck]?m|ft|in|mi))\^([23])(?!\d)"), lambda m: m[1] + "²³"[m[2] == "3"], "^"
    ),
    Rule("sign", re.compile(r"\bA\s?[~\u301c]\s?Z\b"), lambda _: "Ay to Z", "~\u301c"),
    Rule("minus", re.compile(r"(?<![\w.])(?<!\d\s)\u2013(?=\d)"), lambda _: "-", "\u2013"),
    Rule("letter", re.compile(r"\(a\)(?=\s)"), lambda _: "(Ay)", "("),
    Rule("function", re.compile(r"(?<![\w'])([fghFP])(['\u2019]?)\(([a-z])\)"), _function, "("),
    Rule("star", re.compile(r"(?<!\S)\*(?=\d)"), lambda _: "star ", "*"),
    Rule("list", re.compile(r"^\s*(?:[-*•‣◦▪]\s+)"), lambda _: "", "-*•‣◦▪"),
    Rule("list", re.compile(r"^\s*(\d{1,3})[.)]\s+(?=\w)"), lambda match: f"{match[1]}, ", ".)"),
)
LAST = (
    Rule("initials", re.compile(r"(?<!\w)([A-Za-z])/([A-Za-z])(?!\w)"), lambda match: f"{match[1]} {match[2]}", "/"),
    # Between spaces a dash is a pause, not a minus sign (the official front end says "minus" here).
    Rule(
        "pause", re.compile(r"\s+[-\u2013\u2014]+\s+|\s*[\u2013\u2014]+\s*|\s*--+\s*"), lambda _: ", ", "-\u2013\u2014"
    ),
    Rule(
        "pause", re.compile(r"[;()\[\]{}|•·、]|(?<=\w)\s*\n+\s*(?=\w)"), lambda match: "," if match[0].strip() else " "
    ),
)


def fold(text: SpannedText) -> SpannedText:
    """Write widths, ligatures, fractions and quotes in plain characters."""
    if text.text.isascii() and not any(sign in text.text for sign in '`"_*'):
        return text
    text = (
        text.translate({"\uff0c": ", "}).sub(_ROMAN_SIGN, _roman, "Roman numeral").sub(_FRACTION, _fraction, "fraction")
    )
    text = text.sub(_FOLDED, lambda match: unicodedata.normalize("NFKC", match[0]))
    return text


def straighten(text: SpannedText) -> SpannedText:
    """Take quotation marks out, write apostrophes and hyphens in one way, and pause at a colon before a word."""
    return text.sub(_COLON, lambda _: ",", "pause").translate(_QUOTES)


def name_signs(text: SpannedText) -> SpannedText:
    """Say what is left of signs, Greek letters, and Latin letters with accents."""
    if text.text.isascii():
        return text.sub(_SIGN, _name, "sign")
    text = text.sub(_SIGN, _name, "sign").sub(_GREEK_LETTER, lambda match: f" {_GREEK[match[0].casefold()]} ", "sign")
    return text.translate(_TRANSLITERATED).sub(_ACCENTED, _without_accent)


def one_mark(text: SpannedText) -> SpannedText:
    """Keep one mark of each row: the strongest of them decides how the pause sounds."""
    return text.sub(_MARKS, lambda match: next(mark for mark in "?!.," if mark in match[0]) + " ")


_SIGN: Final = re.compile("[" + "".join(map(re.escape, _NAMES)) + "]")
_GREEK_LETTER: Final = re.compile(f"[{''.join(_GREEK)}]", re.IGNORECASE)
_ACCENTED: Final = re.compile(r"[^\W\d_]", re.UNICODE)


def _name(match: re.Match[str]) -> str:
    name = _NAMES[match[0]]
    return f" {name} " if name.strip(" ,") else name


def _fraction(match: re.Match[str]) -> str:
    above_below = unicodedata.normalize("NFKC", match[2]).replace("\u2044", "/")
    return f"{match[1]} {above_below}" if match[1] else above_below


def _without_accent(match: re.Match[str]) -> str | None:
    if match[0].isascii():
        return None
    bare = "".join(sign for sign in unicodedata.normalize("NFKD", match[0]) if not unicodedata.combining(sign))
    return bare if bare.isascii() else None
