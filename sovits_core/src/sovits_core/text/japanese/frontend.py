"""Japanese text to phones with pitch marks: Open JTalk's reading and accents, in the family's symbols."""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from sovits_core.errors import MissingExtra, UnreadableLetters
from sovits_core.text.japanese.marks import MARK, NOT_READ, PAUSES, RUN, normalize
from sovits_core.text.readings import Context, WordReading

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["normalize", "read"]

RISE, FALL = "[", "]"
# The border of two accent phrases. "#" is in neither official table: the weights learnt UNK in its place.
BORDER = "UNK"
PAUSE = "_"
# Open JTalk's memory grows with the text; nobody speaks a hundred characters without a pause.
_LONGEST_RUN = 200
# Phones that carry a mora's pitch: a phrase can only end after one of them.
_ENDS_OF_MORA = frozenset(["a", "e", "i", "o", "u", "N", "cl"])
_PHONE = re.compile(r"-(\w+)\+")
# /A:a1+a2+a3 of a full-context label: moras from the accent nucleus, place in the accent phrase from both ends.
_PITCH = re.compile(r"/A:(-?\d+)\+(\d+)\+(\d+)/")
_PHRASE_LENGTH = re.compile(r"/F:(\d+)_")
# Before these sounds, and before counters, 何 is "nan".
_NAN_BEFORE = "タダテデトドナヌネノ"


def read(normalized: str, _context: Context) -> list[WordReading]:
    """Return the runs and marks of a normalised text with their phones, pitch marks among them.

    Marks without a reading are dropped.

    Raises:
        UnreadableLetters: Open JTalk has no reading of a letter.
    """
    pieces: list[tuple[str, int, list[str]]] = []
    start = 0
    for piece in MARK.split(normalized):
        if mark := PAUSES.get(piece):
            pieces.append((piece, start, [mark]))
        elif piece in NOT_READ:
            pieces.append((piece, start, [BORDER]))
        else:
            pieces += [(run, start + at, _read(run)) for run, at in _runs(piece)]
        start += len(piece)
    return _without_idle_borders(pieces)


def _runs(piece: str) -> Iterator[tuple[str, int]]:
    for match in RUN.finditer(piece):
        for start in range(0, len(match[0]), _LONGEST_RUN):
            yield match[0][start : start + _LONGEST_RUN], match.start() + start


def _without_idle_borders(pieces: list[tuple[str, int, list[str]]]) -> list[WordReading]:
    """Keep the borders that brackets make only between two phones: beside a pause there is nothing to part."""
    found: list[WordReading] = []
    every = [phone for _, _, phones in pieces for phone in phones]
    last, place = ".", 0
    for text, start, phones in pieces:
        kept = []
        for phone in phones:
            place += 1
            after = every[place] if place < len(every) else "."
            alone = last == BORDER or not last.isalpha() or not after[0].isalpha() or after == BORDER
            if phone != BORDER or not alone:
                kept.append(phone)
                last = phone
        source = "Open JTalk" if RUN.match(text) else "mark"
        found += [WordReading(text, tuple(kept), source, start)] if kept else []
    return found


@cache
def _open_jtalk() -> ModuleType:
    # The module prints advice to standard output when onnxruntime is missing; we do without its model.
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            import pyopenjtalk  # noqa: PLC0415 -- half a second and 100 MB that only Japanese needs
        except ModuleNotFoundError as error:
            raise MissingExtra("Japanese text", "ja") from error
    return pyopenjtalk


def _read(run: str) -> list[str]:
    """Return the phones and pitch marks of text without punctuation."""
    open_jtalk = _open_jtalk()
    # It calls its second dictionary by an old name; the filter is set here, as every thread opens that dictionary.
    warnings.filterwarnings("ignore", message=r"Dictionary\.create\(\) is deprecated", category=DeprecationWarning)
    # "何" by a rule instead of the optional model, so that trainer and server read alike whatever is installed.
    words = open_jtalk.run_frontend(run, predict_nani=False)
    for word, after in pairwise([*words, None]):
        if word["orig"] == "何":
            word["pron"] = word["read"] = "ナン" if after and _makes_nan(after) else "ナニ"
    if unread := {sign for word in words if not word["mora_size"] for sign in word["string"] if sign.isalpha()}:
        raise UnreadableLetters("".join(sorted(unread)), "ja")
    if not any(word["mora_size"] for word in words):
        return []
    return _with_pitch(open_jtalk.make_label(words))


def _makes_nan(after: dict[str, Any]) -> bool:
    return after["pos_group1"] == "接尾" or after["pron"][:1] in _NAN_BEFORE


def _with_pitch(labels: list[str]) -> list[str]:
    """Read phones from full-context labels and put marks where the pitch rises, falls, or a phrase ends."""
    found: list[str] = []
    for label, after in pairwise(labels):
        match = _PHONE.search(label)
        phone = match[1] if match else "sil"
        if phone == "sil":
            continue
        if phone == "pau":
            found.append(PAUSE)
            continue
        # Capitals are vowels without voice; the family writes them like the others.
        phone = phone.lower() if phone in "AEIOU" else phone
        found.append(phone)
        mark = _mark(label, after)
        if mark == BORDER and phone not in _ENDS_OF_MORA:
            continue
        found += [mark] if mark else []
    return found


def _mark(label: str, after: str) -> str | None:
    """Return the pitch mark between two neighbouring phones, from their places in the accent phrase."""
    here, there, length = _PITCH.search(label), _PITCH.search(after), _PHRASE_LENGTH.search(label)
    if not here or not there or not length:
        return None
    from_nucleus, place, from_end = (int(number) for number in here.groups())
    next_place = int(there[2])
    if from_end == 1 and next_place == 1:
        return BORDER
    if from_nucleus == 0 and next_place == place + 1 and place != int(length[1]):
        return FALL
    if place == 1 and next_place == 2:
        return RISE
    return None
