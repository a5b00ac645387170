"""Chinese characters in Korean text: the readings of the dictionary's words, else of each character by Unihan."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from sovits_core.errors import UnreadableLetters
from sovits_core.text.korean.letters import join_letters, split_syllable
from sovits_core.text.spans import SpannedText

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mecab import Morpheme

CHINESE = re.compile(r"[\u3400-\u9fff\uf900-\ufaff\U00020000-\U000323af]")
# At the beginning of a word r becomes n, and neither stands before a vowel that begins with i: 老人 노인, 女子 여자.
_BEFORE_I = frozenset("ㅑㅒㅕㅖㅛㅠㅣ")
# Alone a family name more often than gold.
_NAMES = {"金": "김"}


def in_hangul(text: SpannedText, morphemes: Sequence[Morpheme]) -> SpannedText:
    """Write Chinese characters as Korean reads them.

    Args:
        text: any text.
        morphemes: its own, as the dictionary tells them.

    Raises:
        UnreadableLetters: Korean has no reading of a character; all such are named.
    """
    known: dict[int, str] = {}
    starts: set[int] = set()
    for morpheme in morphemes:
        start, end = morpheme.span.start, morpheme.span.end
        reading = morpheme.feature.reading or ""
        if len(reading) == end - start > 1 and not CHINESE.search(reading):
            known |= zip(range(start, end), reading, strict=True)
            starts.add(start)
    syllables: dict[int, str] = {}
    unknown = set()
    for match in CHINESE.finditer(text.text):
        at, character = match.start(), match[0]
        reading = known.get(at) or _NAMES.get(character) or _readings().get(character, "")
        if not reading:
            unknown.add(character)
            continue
        before = syllables.get(at - 1) or text.text[max(at - 1, 0) : at]
        begins = at in starts or not before.isalpha()
        syllables[at] = _begun(reading) if begins else _joined(reading, before)
    if unknown:
        raise UnreadableLetters("".join(sorted(unknown)), "ko")
    return text.sub(CHINESE, lambda match: syllables[match.start()], "Chinese characters")


@cache
def _readings() -> dict[str, str]:
    lines = (resources.files("sovits_core.text.korean") / "data" / "hanja.txt").read_text(encoding="utf-8").splitlines()
    rows = (line.split(" ") for line in lines if not line.startswith("#"))
    return {character: syllable for syllable, characters in rows for character in characters}


def _begun(reading: str) -> str:
    """Return a syllable as it begins a word."""
    syllable = split_syllable(reading)
    if syllable is None or syllable.onset not in "ㄴㄹ":
        return reading
    syllable.onset = "ㅇ" if syllable.nucleus in _BEFORE_I else "ㄴ"
    return join_letters(syllable)


def _joined(reading: str, before: str) -> str:
    """Return a syllable as it goes on a word: 렬 and 률 lose their onset after a vowel and after n."""
    last = split_syllable(before)
    return {"렬": "열", "률": "율"}.get(reading, reading) if last and last.coda in {"", "ㄴ"} else reading
