"""Mandarin text to phones: an initial and a final with tone for each character, and the marks between them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain

from sovits_core.text.chinese.normalization import MARKS, normalize
from sovits_core.text.chinese.readings import NEUTRAL, PolyphoneReader, Reading, is_phrase, read_word
from sovits_core.text.chinese.syllables import split_syllable
from sovits_core.text.chinese.tones import change_tones, merges_er
from sovits_core.text.chinese.words import Word, join, segment
from sovits_core.text.symbols import UNKNOWN

__all__ = ["normalize", "phones", "phones_by_character"]

# Words are found clause by clause, each with the mark that ends it.
_CLAUSE = re.compile(f"[^{MARKS}]*[{MARKS}]?")


def phones(normalized: str) -> list[str]:
    """Return the phones of a text from `normalize`; a character that no dictionary reads becomes UNK UNK."""
    return phones_by_character(normalized)[0]


def phones_by_character(
    normalized: str, table: str = "v2", polyphones: PolyphoneReader | None = None
) -> tuple[list[str], list[int]]:
    """Return the phones and how many each character of `normalized` has: two, or one for a mark.

    `table` names the symbol table of the base: those of v1 were trained with 儿 as a syllable with a tone of its own.
    `polyphones`, where given, reads what is no phrase of the dictionary, as the g2pW model of the official front end.
    """
    clauses = [clause for clause in _CLAUSE.findall(normalized) if clause]
    by_character: list[list[str]] = []
    for clause, words in zip(clauses, segment(clauses), strict=True):
        in_context = polyphones.read(clause) if polyphones else [None] * len(clause)
        by_character += _clause(join(words), in_context, table)
    return list(chain.from_iterable(by_character)), [len(symbols) for symbols in by_character]


def _clause(words: list[Word], in_context: Sequence[Reading | None], table: str) -> list[list[str]]:
    by_character: list[list[str]] = []
    for word in words:
        if word.text[0] in MARKS:
            by_character += [[mark] for mark in word.text]
        else:
            start = len(by_character)
            better = in_context[start : start + len(word.text)]
            known = _dictionary(word)
            if any(better) and not is_phrase(word.text):
                known = [given or reading for given, reading in zip(better, known, strict=True)]
            by_character += _word(word, known, table)
    return by_character


def _dictionary(word: Word) -> list[Reading]:
    # The particles 地 and 得 are read like 的; pypinyin, which sees no parts of speech, reads the noun and the verb.
    if word.text in ("地", "得") and word.tag in ("uv", "ud"):
        return [Reading("de", NEUTRAL)]
    # After a number 只 counts animals; pypinyin reads most of these as the adverb.
    if word.tag == "m" and word.text[-1] == "只":
        return [*read_word(word.text)[:-1], Reading("zhi", 1)]
    return list(read_word(word.text))


def _word(word: Word, readings: list[Reading], table: str) -> list[list[str]]:
    tones = change_tones(word.text, word.tag, readings)
    if table != "v1" and merges_er(word.text, word.tag, readings):
        tones[-1] = tones[-2]
    return [_symbols(reading.syllable, tone) for reading, tone in zip(readings, tones, strict=True)]


def _symbols(syllable: str, tone: int) -> list[str]:
    initial, final = split_syllable(syllable)
    return [initial, final if final == UNKNOWN else f"{final}{tone}"]
