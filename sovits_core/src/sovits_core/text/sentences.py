"""Split long text into sentences that are each synthesised in one pass."""

from __future__ import annotations

import re

from sovits_core.errors import TextRejected

# A full stop ends a sentence only before white space and not after an abbreviation or a lone initial.
# The code points are the typographic quotes, and the full-width marks of Chinese and Japanese.
_END = re.compile(r"[.!?…]+[\"')\]\u201d\u2019]*(?=\s|$)|[。\uff01\uff1f]+[」』\u201d\u2019]*")
ABBREVIATION = re.compile(
    r"(?:^|[\s(\"'])(?:[A-Z]|Mr|Mrs|Ms|Dr|St|Jr|Sr|Prof|Capt|Gen|Col|Lt|Rev|Hon|Ltd|Co|No|vs|etc|e\.g|i\.e)$"
)
_CLAUSE = re.compile(r"[,;:](?=\s|$)|[\uff0c、\uff1b\uff1a]|\s[-\u2013\u2014]\s")
MIN_LIMIT = 10


def split_sentences(text: str, limit: int) -> list[str]:
    """Return the sentences of a text, none longer than `limit` characters: longer ones are split at clauses or words.

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
        if end.group() == "." and ABBREVIATION.search(paragraph[start : end.start()]):
            continue
        found.append(paragraph[start : end.end()].strip())
        start = end.end()
    found.append(paragraph[start:].strip())
    return [sentence for sentence in found if sentence]


def _within(sentence: str, limit: int) -> list[str]:
    parts = []
    while len(sentence) > limit:
        end = _last_boundary(sentence, limit)
        parts.append(sentence[:end].strip())
        sentence = sentence[end:].strip()
    return [*parts, sentence] if sentence else parts


def _last_boundary(sentence: str, limit: int) -> int:
    """Return where to split: after the last clause that fits, else after the last word, else within a word."""
    window = sentence[:limit]
    clauses = [match.end() for match in _CLAUSE.finditer(sentence) if match.end() <= limit]
    # A clause of a few letters alone would be spoken as a fragment.
    if clauses and clauses[-1] >= limit // 4:
        return clauses[-1]
    word = window.rfind(" ")
    return word if word > 0 else limit
