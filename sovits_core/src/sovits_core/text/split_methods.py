"""The family's named methods to split a text into parts that are each synthesised in one pass: cut0 to cut5."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from sovits_core.errors import TextRejected
from sovits_core.text.sentences import ABBREVIATION, split_sentences

# The marks that end a clause, with the quotes and brackets that close after them.
_CLAUSE = re.compile(r"[,.;?!、\uff0c。\uff1f\uff01\uff1b\uff1a…]+[\"')\]」』\uff09\u201d\u2019]*")
_FULL_STOPS = frozenset("。")
_POINTS = frozenset(".")
_ENDS = frozenset(",.;?!、\uff0c。\uff1f\uff01\uff1b\uff1a…~—-")
_CLOSING = "\"')]」』\uff09\u201d\u2019"
_CLAUSES_PER_PIECE = 4
_CHARACTERS_PER_PIECE = 50
# Shorter parts are synthesised badly, and longer ones than 510 characters do not fit the encoder of Chinese characters.
_MIN_CHARACTERS = 5
_MAX_CHARACTERS = 510
# A shorter first clause is given a pause to start from.
_MIN_FIRST = 4


def split_text(text: str, method: str, language: str) -> list[str]:
    """Return the parts of a text, each with a letter or digit in it, ended by a mark, and of at most 511 characters.

    Methods: cut0 lines only, cut1 four clauses, cut2 some 50 characters, cut3 at `。`, cut4 at full stops, cut5 at
    every mark; every method splits at line ends. Short pieces are joined. As the official methods, except that numbers
    (3,000), times, abbreviations (Mr.) and addresses stay whole, that cut3 and cut4 keep the mark they cut at, and that
    lines which are joined keep a space between them. Raises TextRejected for an unknown method.
    """
    if method not in SPLIT_METHODS:
        raise TextRejected(f"split method {method!r} is not known; use one of: {', '.join(SPLIT_METHODS)}")
    stop = "." if language == "en" else "。"
    lines = [_ended(line.strip(), stop) for line in text.split("\n") if _speakable(line)]
    pieces = _merged(piece for line in lines for piece in SPLIT_METHODS[method](line))
    if pieces and lines and _first_is_short(lines[0]):
        pieces[0] = stop + pieces[0]
    return [_ended(part, stop) for piece in pieces for part in _within(piece) if _speakable(part)]


def _lines(line: str) -> list[str]:
    return [line]


def _by_four(line: str) -> list[str]:
    clauses = _clauses(line)
    return [
        "".join(clauses[start : start + _CLAUSES_PER_PIECE]) for start in range(0, len(clauses), _CLAUSES_PER_PIECE)
    ]


def _by_length(line: str) -> list[str]:
    pieces, piece = [], ""
    for clause in _clauses(line):
        piece += clause
        if len(piece) > _CHARACTERS_PER_PIECE:
            pieces.append(piece)
            piece = ""
    if piece and pieces:
        pieces[-1] += piece  # what is left is shorter than a piece
    elif piece:
        pieces.append(piece)
    return pieces


def _at_full_stops(line: str) -> list[str]:
    return _clauses(line, _FULL_STOPS)


def _at_points(line: str) -> list[str]:
    return _clauses(line, _POINTS)


def _clauses(line: str, marks: frozenset[str] = _ENDS) -> list[str]:
    """Cut after rows of marks that hold one of `marks`; joined, the clauses are the line."""
    found, start = [], 0
    for match in _CLAUSE.finditer(line):
        if not marks.isdisjoint(match[0]) and not _within_word(line, match):
            found.append(line[start : match.end()])
            start = match.end()
    return [*found, line[start:]] if start < len(line) else found


def _within_word(line: str, match: re.Match[str]) -> bool:
    """Tell whether a mark belongs to a number, an abbreviation or an address instead of ending a clause."""
    mark, after = match[0], line[match.end() : match.end() + 1]
    if mark not in {".", ",", "\uff0c", "\uff1a"}:
        return False
    before = line[: match.start()]
    if before[-1:].isdigit() and after.isdigit():
        return True
    return mark == "." and ((after.isascii() and after.isalnum()) or bool(after and ABBREVIATION.search(before[-12:])))


def _merged(pieces: Iterable[str]) -> list[str]:
    """Join pieces until each has five characters; pieces without a letter or digit only end the one before."""
    merged: list[str] = []
    short = ""
    for piece in pieces:
        if merged and not short and not _speakable(piece):
            merged[-1] += piece
            continue
        short += piece if not short or short[-1].isspace() or not short.isascii() else f" {piece.lstrip()}"
        if len(short.strip()) >= _MIN_CHARACTERS:
            merged.append(short)
            short = ""
    if short and merged:
        merged[-1] += short if not merged[-1].isascii() else f" {short.lstrip()}"
    elif short:
        merged.append(short)
    return [piece.strip() for piece in merged]


def _within(piece: str) -> list[str]:
    return [piece] if len(piece) <= _MAX_CHARACTERS else split_sentences(piece, _MAX_CHARACTERS)


def _ended(piece: str, stop: str) -> str:
    return piece if piece.rstrip(_CLOSING)[-1:] in _ENDS else piece + stop


def _speakable(piece: str) -> bool:
    return any(character.isalnum() for character in piece)


def _first_is_short(line: str) -> bool:
    first = _clauses(line)[0]
    return line[0] not in _ENDS and len(_CLAUSE.sub("", first).strip()) < _MIN_FIRST


SPLIT_METHODS: dict[str, Callable[[str], list[str]]] = {
    "cut0": _lines,
    "cut1": _by_four,
    "cut2": _by_length,
    "cut3": _at_full_stops,
    "cut4": _at_points,
    "cut5": _clauses,
}
