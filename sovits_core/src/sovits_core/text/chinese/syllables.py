"""A Mandarin syllable in pinyin to the two symbols of the phone table: initial, and final with tone."""

from __future__ import annotations

import re
from functools import cache

from sovits_core.text.symbols import UNKNOWN, symbols

_SYLLABLE = re.compile(r"(zh|ch|sh|[bpmfdtnlgkhjqxrzcsyw])?(.*)")
# A syllable that begins with its vowel gets one of these as its initial.
_EMPTY_INITIAL = {"a": "AA", "e": "EE", "o": "OO"}
# "i" after these is no [i] but the consonant held on.
_HELD = {"zh": "ir", "ch": "ir", "sh": "ir", "r": "ir", "z": "i0", "c": "i0", "s": "i0"}
# After these "u" is written for ü, which the table calls v.
_BEFORE_U_UMLAUT = "jqxy"
# The vowel of "yan" and "ye" is not that of "an" and "e".
_AFTER_Y = {"an": "En", "e": "E"}
# pypinyin's spelling of syllables without a vowel, and of ê, as syllables that have a final in the table.
_RESPELT = {"ê": "ei", "m": "mu", "n": "en", "ng": "en", "hm": "heng", "hng": "heng"}


@cache
def split_syllable(pinyin: str) -> tuple[str, str]:
    """Return initial and final of a syllable without tone, ü written v: "xue" is ("x", "ve").

    A syllable that the table cannot write gives (UNK, UNK): two symbols, so that two per character stays true.
    """
    match = _SYLLABLE.fullmatch(_RESPELT.get(pinyin, pinyin))
    initial, final = (match[1], match[2]) if match else (None, "")
    if not initial:
        initial = _EMPTY_INITIAL.get(final[:1], UNKNOWN)
    elif final == "i":
        final = _HELD.get(initial, "i")
    elif initial in _BEFORE_U_UMLAUT and final.startswith("u"):
        final = "v" + final[1:]
    elif initial == "y":
        final = _AFTER_Y.get(final, final)
    known = initial != UNKNOWN and final + "1" in symbols("v1")
    return (initial, final) if known else (UNKNOWN, UNKNOWN)
