"""What is read aloud of a text: paragraphs without Markdown's signs, their sentences, and the pause after each.

A single line end joins, as in a hard-wrapped mail; a blank line, a heading and an item of a list part.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final, NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token

from sovits_core.text import split_sentences
from sovits_core.text.split_methods import split_text

SENTENCE_CHARACTERS: Final = 150  # Latin ones, or 50 of Han; longer sentences are split: the prompt's prosody fades
CLAUSE_PAUSE: Final = 0.12  # seconds, inside a sentence that was split
SENTENCE_PAUSE: Final = 0.25
PARAGRAPH_PAUSE: Final = 0.5

_CLOSING: Final = "\"')]」』\u201d\u2019\uff09"
_ENDS: Final = frozenset(".!?…。\uff01\uff1f")
_CJK: Final = re.compile(r"[\u3001-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff01-\uff60]")
_EMPHASIS: Final = frozenset({"em_open", "em_close", "strong_open", "strong_close"})
# Indented code would part the lines of an indented mail, and a definition of a link would leave out what follows a
# word in brackets. Deeper nesting is the end of a text; the library follows it by recursion.
_PARSER: Final = (
    MarkdownIt("commonmark", {"html": False, "maxNesting": 100})
    .enable("table")
    .disable(["code", "reference", "html_block", "html_inline"])
)


class Passage(NamedTuple):
    """What is spoken in one go."""

    text: str
    pause: float
    """Seconds of silence before the next one."""


def passages(text: str) -> list[Passage]:
    """Return the passages of a text in order; those without a word are among them."""
    found: list[Passage] = []
    for paragraph in paragraphs(text):
        sentences = split_sentences(paragraph, SENTENCE_CHARACTERS)
        found += [Passage(sentence, _pause_within(sentence)) for sentence in sentences[:-1]]
        found += [Passage(sentence, PARAGRAPH_PAUSE) for sentence in sentences[-1:]]
    return found


def split_by(method: str, text: str, language: str) -> list[Passage]:
    """Return the parts of a text by one of the official split methods, cut0 to cut5; Markdown is not looked at.

    Raises:
        TextRejected: there is no such method.
    """
    return [Passage(part, SENTENCE_PAUSE) for part in split_text(text, method, language)]


def paragraphs(text: str) -> list[str]:
    """Return paragraphs, headings, items of lists, rows of tables and lines of code, each on one line."""
    return [line for line in (one_line(part) for part in _parts(_PARSER.parse(text))) if line]


def one_line(text: str) -> str:
    """Return the text with its lines joined: by a space, but not between characters that are written without one."""
    lines = [line for line in (line.strip() for line in text.split("\n")) if line]
    if not lines:
        return ""
    gaps = ["" if _CJK.match(one[-1]) and _CJK.match(other[0]) else " " for one, other in pairwise(lines)]
    return "".join(part for pair in zip(["", *gaps], lines, strict=True) for part in pair)


def _pause_within(sentence: str) -> float:
    return SENTENCE_PAUSE if sentence.rstrip(_CLOSING)[-1:] in _ENDS else CLAUSE_PAUSE


def _parts(tokens: list[Token]) -> Iterator[str]:
    number = ""  # of the item that begins
    row: list[str] | None = None
    for token in tokens:
        if token.type == "list_item_open":
            number = f"{token.info}, " if token.info else ""
        elif token.type == "tr_open":
            row = []
        elif token.type == "tr_close" and row is not None:
            yield ", ".join(row)
            row = None
        elif token.type == "fence":
            yield from token.content.split("\n")
        elif token.type == "inline" and row is not None:
            row.append(_inline(token.children or []))
        elif token.type == "inline":
            yield number + _inline(token.children or [])
            number = ""


def _inline(tokens: list[Token]) -> str:
    """Return the words of a line; a sign of emphasis beside a digit is one of arithmetic and stays."""
    words = ""
    for token in tokens:
        if token.type in {"softbreak", "hardbreak"}:
            words += "\n"
        elif token.type in _EMPHASIS:
            words += token.markup if words[-1:].isdigit() else ""
        else:
            words += token.content
    return words
