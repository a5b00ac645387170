"""Split long text into sentences that are each synthesised in one pass."""

from __future__ import annotations

import re

from sovits_core.errors import MissingExtra, TextRejected

# A full stop ends a sentence only before white space and not after an abbreviation or a lone initial.
# The code points are the typographic quotes, and the full-width marks of Chinese and Japanese.
_END = re.compile(r"[.!?…]+[\"')\]\u201d\u2019]*(?=\s|$)|[。\uff01\uff1f]+[」』\u201d\u2019]*")
ABBREVIATION = re.compile(
    r"(?:^|[\s(\"'])(?:[A-Z]|Mr|Mrs|Ms|Dr|St|Jr|Sr|Prof|Capt|Gen|Col|Lt|Sgt|Rev|Hon|Gov|Sen|Rep|Ltd|Co|Inc|Corp|Nos?|vs"
    r"|etc|e\.g|i\.e|cf|approx|Ave|Blvd|Rd|Mt|Ft|Fig|fig|fn|Vol|vol|Ch|ch|pp?|Jan|Feb|Aug|Sept?|Oct|Nov|Dec|Ph\.D)$"
)
# Letters with full stops between them end a sentence only before a word that mostly begins one.
_INITIALS = re.compile(r"(?:^|[\s(\"'])(?:[A-Za-z]\.)+[A-Za-z]$")
_BEGINS = re.compile(
    r"\s+(?:He|She|It|They|We|I|You|The|This|That|These|Those|But|And|So|In|On|At|A|An|My|His|Her|Our|Then)\b"
)
_GOES_ON = re.compile(r"\s+[a-z]")
# What is quoted ends no sentence that goes on: "Really?" she said. What stands in brackets is part of its sentence,
# unless the bracket was left open so many characters ago that it is none.
_QUOTED_END = re.compile(r"[.!?…]+[\"')\]\u201d\u2019]+")
_OPENING = dict(zip("([\uff08「『【", ")]\uff09」』】", strict=True))
_LONGEST_BRACKET = 80
# A Han character, kana or syllable of Hangul is as long to say as three Latin letters.
_LONG_CHARACTER = re.compile(r"[\u1100-\u11ff\u3041-\u30ff\u3400-\u9fff\uac00-\ud7a3\U00020000-\U000323af]")
_LONG = 3
_CLAUSE = re.compile(r"[,;:](?=\s|$)|[\uff0c、\uff1b\uff1a]|\s[-\u2013\u2014]\s")
_AFTER_HIRAGANA = re.compile(r"[\u3041-\u309f](?=[\u30a1-\u30fa\u3400-\u9fff])")
_HAN = re.compile(r"[\u3400-\u9fff\U00020000-\U000323af]")
_LONGEST_WORD = 8
MIN_LIMIT = 10


def split_sentences(text: str, limit: int) -> list[str]:
    """Return the sentences of a text, longer ones split at clauses or words.

    None has more than `limit` Latin characters, of which a Han character, kana or Hangul syllable counts as three.
    Quotes that go on and brackets stay whole; a row of Han characters without a mark is cut between two words.
    Nothing but white space is lost. Raises TextRejected for a limit that no sentence could meet.
    """
    if limit < MIN_LIMIT:
        raise TextRejected(f"a limit of {limit} characters is too small to hold a word: use {MIN_LIMIT} or more")
    parts: list[str] = []
    for paragraph in re.split(r"\n+", text):
        for sentence in _sentences(paragraph):
            parts += _within(sentence, limit)
    return parts


def _sentences(paragraph: str) -> list[str]:
    found, start = [], 0
    for end in _END.finditer(paragraph):
        if _is_inside(paragraph, start, end):
            continue
        found.append(paragraph[start : end.end()].strip())
        start = end.end()
    found.append(paragraph[start:].strip())
    return [sentence for sentence in found if sentence]


def _is_inside(paragraph: str, start: int, stop: re.Match[str]) -> bool:
    """Say whether the sentence goes on: after an abbreviation, within a bracket, or after what it quotes."""
    if _in_bracket(paragraph[start : stop.end()]):
        return True
    if stop.group() != ".":
        return bool(_QUOTED_END.fullmatch(stop.group()) and _GOES_ON.match(paragraph, stop.end()))
    before = paragraph[start : stop.start()]
    if _GOES_ON.match(paragraph, stop.end()) or ABBREVIATION.search(before):
        return bool(before.strip())
    return bool(_INITIALS.search(before)) and not _BEGINS.match(paragraph, stop.end())


def _in_bracket(sentence: str) -> bool:
    closing = [""]
    for character in sentence[-_LONGEST_BRACKET:]:
        if character in _OPENING:
            closing.append(_OPENING[character])
        elif character == closing[-1]:
            closing.pop()
    return len(closing) > 1


def _fits(sentence: str, limit: int) -> int:
    """Return how many characters of a sentence are no longer to say than so many Latin ones."""
    room = limit
    for place, character in enumerate(sentence):
        room -= _LONG if _LONG_CHARACTER.match(character) else 1
        if room < 0:
            return place
    return len(sentence)


def _within(sentence: str, limit: int) -> list[str]:
    parts = []
    while (room := _fits(sentence, limit)) < len(sentence):
        end = _last_boundary(sentence, room)
        parts.append(sentence[:end].strip())
        sentence = sentence[end:].strip()
    return [*parts, sentence] if sentence else parts


def _last_boundary(sentence: str, limit: int) -> int:
    """Return where to split: after the last clause that fits, else after the last word, else within a word."""
    window = sentence[:limit]
    clauses = [match.end() for match in _CLAUSE.finditer(sentence) if match.end() <= limit]
    # A clause of a few letters alone would be spoken as a fragment.
    if clauses and clauses[-1] >= max(1, limit // 4):
        return clauses[-1]
    word = max(window.rfind(" "), _last_word_end(sentence, limit))
    return word if word > 0 else limit


def _last_word_end(sentence: str, limit: int) -> int:
    """Return where the last word ends that is written without spaces and fits; 0 where there is none."""
    # After a particle or an ending, which are written in hiragana, the next word begins with another kind of letter.
    if endings := [match.end() for match in _AFTER_HIRAGANA.finditer(sentence, 0, limit + 1)]:
        return endings[-1]
    if not _HAN.match(sentence, limit - 1):
        return 0
    from sovits_core.text.chinese.words import word_ends  # noqa: PLC0415 -- loads a dictionary

    try:
        return max((end for end in word_ends(sentence[: limit + _LONGEST_WORD]) if end <= limit), default=0)
    except MissingExtra:
        return 0
