"""Mandarin text to phones: an initial and a final with tone for each character, and the marks between them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from sovits_core.text.chinese.normalization import MARKS, normalize, simplified
from sovits_core.text.chinese.polyphones import rules_read
from sovits_core.text.chinese.readings import NEUTRAL, Reading, is_phrase, parse, read_word
from sovits_core.text.chinese.syllables import split_syllable
from sovits_core.text.chinese.tones import change_tones, merges_er
from sovits_core.text.chinese.words import Word, join, segment
from sovits_core.text.readings import Context, WordReading
from sovits_core.text.spans import SpannedText
from sovits_core.text.symbols import UNKNOWN

__all__ = ["normalize", "read"]

# Words are found clause by clause, each with the mark that ends it.
_CLAUSE = re.compile(f"[^{MARKS}]*[{MARKS}]?")
_Given = Sequence[Reading | None]


def read(normalized: str, context: Context) -> list[WordReading]:
    """Return the words and marks of a text from `normalize`; a character that no dictionary reads becomes UNK UNK.

    In their order, what reads a character: the lexicon, the network for polyphones where the base has one and the word
    is no phrase of the dictionary, the rules for polyphones, the dictionary of phrases, that of characters. The table
    of v1 has 儿 as a syllable with a tone of its own.
    """
    clauses = [clause for clause in _CLAUSE.findall(normalized) if clause]
    found: list[WordReading] = []
    start = 0
    for clause, words in zip(clauses, segment(clauses), strict=True):
        given = _from_lexicon(clause, context.lexicon.readings("zh"))
        network = context.polyphones.read(clause) if context.polyphones else [None] * len(clause)
        sides = (given, network, rules_read(clause))
        at = 0
        for word in join(words):
            here = slice(at, at + len(word.text))
            found.append(_word(word, start + at, [side[here] for side in sides], context.table))
            at = here.stop
        start += len(clause)
    return found


def _from_lexicon(clause: str, entries: Mapping[str, tuple[str, ...]]) -> list[Reading | None]:
    given: list[Reading | None] = [None] * len(clause)
    for word, syllables in sorted(entries.items(), key=lambda entry: len(entry[0])):
        plain = simplified(SpannedText(word)).text
        for match in re.finditer(re.escape(plain), clause):
            given[match.start() : match.end()] = [parse(syllable) for syllable in syllables]
    return given


def _word(word: Word, start: int, sides: Sequence[_Given], table: str) -> WordReading:
    if word.text[0] in MARKS:
        return WordReading(word.text, tuple(word.text), "mark", start, (1,) * len(word.text))
    lexicon, network, rules = sides
    readings, source = _dictionary(word)
    phrase = is_phrase(word.text)
    for side, name in (
        (rules, "rule for polyphones"),
        (() if phrase else network, "network for polyphones"),
        (lexicon, "lexicon"),
    ):
        if any(side):
            readings = [better or reading for better, reading in zip(side, readings, strict=True)]
            source = name
    symbols = _phones(word, readings, table)
    return WordReading(
        word.text, tuple(phone for pair in symbols for phone in pair), source, start, (2,) * len(symbols)
    )


def _dictionary(word: Word) -> tuple[list[Reading], str]:
    # The particles 地 and 得 are read like 的; pypinyin, which sees no parts of speech, reads the noun and the verb.
    if word.text in ("地", "得") and word.tag in ("uv", "ud"):
        return [Reading("de", NEUTRAL)], "particle"
    # After a number 只 counts animals; pypinyin reads most of these as the adverb.
    if word.tag == "m" and word.text[-1] == "只":
        return [*read_word(word.text)[:-1], Reading("zhi", 1)], "measure word"
    return list(read_word(word.text)), "phrase dictionary" if is_phrase(word.text) else "character dictionary"


def _phones(word: Word, readings: list[Reading], table: str) -> list[list[str]]:
    tones = change_tones(word.text, word.tag, readings)
    if table != "v1" and merges_er(word.text, word.tag, readings):
        tones[-1] = tones[-2]
    return [_symbols(reading.syllable, tone) for reading, tone in zip(readings, tones, strict=True)]


def _symbols(syllable: str, tone: int) -> list[str]:
    initial, final = split_syllable(syllable)
    return [initial, final if final == UNKNOWN else f"{final}{tone}"]
