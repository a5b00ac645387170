"""Text that is still being written: which of its sentences are whole and can be spoken."""

from __future__ import annotations

import re
from itertools import islice
from typing import Final

from sovits_core.text import split_sentences
from voice_inference.engine.passages import SENTENCE_CHARACTERS, one_line

MOST_OPEN: Final = 2 * SENTENCE_CHARACTERS  # characters that wait for the other half of a pair of Markdown's signs
_BLOCK_END: Final = re.compile(r"\n\s*\n|\n(?=\s*(?:[-*+>]|#{1,6}|\d{1,9}[.)])\s)")
_NUMBER: Final = re.compile(r"\d{1,9}[.)]")  # of a list's item
_PAIRED: Final = ("**", "__", "`")


class TypedText:
    """The part of a text that nobody has spoken yet."""

    def __init__(self) -> None:
        self._rest = ""

    def add(self, text: str) -> list[str]:
        """Take what was written next; return the sentences that are whole now.

        Those before the last one are: what follows a mark decides whether it ended anything, as in "Dr. Smith", 3.14.
        """
        *blocks, last = _BLOCK_END.split((self._rest + text).replace("\r\n", "\n"))
        whole = [sentence for block in blocks for sentence in _sentences(block)]
        ended = _sentences(last)[:-1]
        self._rest = _after(last, sum(map(_letters, ended))).lstrip()
        return whole + ended

    def end(self) -> list[str]:
        """Return what is left as the last sentences, and begin anew."""
        left, self._rest = self._rest, ""
        return _sentences(left)


def _written_as(sentence: str, block: str) -> str:
    """Return the end of a block that is the sentence, with its line ends: the next line may be no part of it."""
    starts = (place for place in range(len(block) - len(sentence), -1, -1) if block[place] == sentence[0])
    return next((block[start:] for start in starts if one_line(block[start:]) == sentence), block.lstrip())


def _sentences(block: str) -> list[str]:
    """Return the sentences of a paragraph; signs of emphasis and code, and numbers of items, stay with theirs."""
    text = one_line(block)
    found: list[str] = []
    start = end = 0
    for sentence in split_sentences(text, SENTENCE_CHARACTERS):
        begins = text.index(sentence, end)
        is_open = bool(found) and _is_open(found[-1]) and end - start + len(sentence) < MOST_OPEN
        start, end = (start if is_open else begins), begins + len(sentence)
        found[len(found) - is_open :] = [text[start:end]]
    return found


def _is_open(sentence: str) -> bool:
    return _NUMBER.fullmatch(sentence) is not None or any(sentence.count(sign) % 2 for sign in _PAIRED)


def _letters(text: str) -> int:
    """Return how many characters are no white space, which lines that are joined leave as they are."""
    return sum(not character.isspace() for character in text)


def _after(text: str, letters: int) -> str:
    """Return what follows so many characters that are no white space."""
    places = (place for place, character in enumerate(text, start=1) if not character.isspace())
    return text[next(islice(places, letters - 1, None), 0) :] if letters else text
