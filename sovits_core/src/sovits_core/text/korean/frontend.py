"""Korean text to phones: as it is pronounced, in letters of the alphabet, diphthongs taken apart as the family does."""

from __future__ import annotations

from functools import cache
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from sovits_core.errors import MissingExtra
from sovits_core.text.korean.hanja import CHINESE, in_hangul
from sovits_core.text.korean.letters import CONSONANTS, VOWELS, Syllable, letters, split_syllable
from sovits_core.text.korean.numbers import spell_out
from sovits_core.text.korean.rules import pronounce
from sovits_core.text.korean.words import respell
from sovits_core.text.readings import Context, WordReading
from sovits_core.text.spans import SpannedText

if TYPE_CHECKING:
    from mecab import MeCab, Morpheme

__all__ = ["normalize", "read"]

SPACE, UNKNOWN = "空", "停"
_PUNCTUATION = {
    ",": ",", "、": ",", ":": ",", ";": ",", "·": ",", "ㆍ": ",", ".": ".", "。": ".", "!": "!", "?": "?", "…": "…",
    "-": "-", "\n": ".", " ": SPACE,
}  # fmt: skip
_QUOTES = frozenset("\"'“”\u2018\u2019「」『』《》〈〉()[]{}<>~*_")
# Parts of speech of the Sejong tag set: verb and adjective stems, and words that stand on their own.
_STEMS = frozenset(["VV", "VA", "VX"])
_WORDS = ("NN", "NP", "NR", "VV", "VA", "MM", "MA")
# Nouns in "i" that take an n after another noun; before other nouns in "i" speakers differ (첫인상 has none).
_TAKE_N = frozenset(["일", "잎", "이불", "이마", "이야기", "입술", "일거리", "이파리"])
_TENSED = frozenset("ㄱㄷㅂㅅㅈ")


def normalize(text: SpannedText) -> SpannedText:
    """Write numbers, signs, Latin letters and the Chinese characters of Korean words in Hangul."""
    text = spell_out(text)
    return in_hangul(text, _tagger().parse(text.text)) if CHINESE.search(text.text) else text


def read(normalized: str, _context: Context) -> list[WordReading]:
    """Return the words and marks of a normalised text; 空 is a space, 停 what cannot be read.

    A text ends in punctuation.
    """
    found: list[WordReading] = []
    items, respelled = _annotated(normalized)
    for start, item in enumerate(pronounce(items)):
        written = normalized[start]
        if isinstance(item, Syllable):
            source = "list of exceptions" if start in respelled else "rules of pronunciation"
            phones = tuple(letters(item))
            if found and found[-1].text[-1:].isalpha() and found[-1].start + len(found[-1].text) == start:
                last = found.pop()
                source = last.source if last.source.startswith("list") else source
                found.append(WordReading(last.text + written, last.phones + phones, source, last.start))
            else:
                found.append(WordReading(written, phones, source, start))
        elif item in CONSONANTS or item in VOWELS:  # a letter on its own, as in laughter
            found.append(WordReading(written, tuple(VOWELS.get(item, item)), "letter", start))
        elif item not in _QUOTES:
            found.append(WordReading(written, (_PUNCTUATION.get(item, UNKNOWN),), "mark", start))
    if found and found[-1].phones[-1] in CONSONANTS | frozenset("".join(VOWELS.values())):
        found.append(WordReading("", (".",), "end of the text", len(normalized)))
    return found


@cache
def _tagger() -> MeCab:
    try:
        from mecab import MeCab  # noqa: PLC0415 -- 100 MB of dictionary that only Korean needs
    except ModuleNotFoundError as error:
        raise MissingExtra("Korean text", "ko") from error
    return MeCab()


def _annotated(text: str) -> tuple[list[Syllable | str], set[int]]:
    """Split into syllables that know what the rules must know of their words, and tell which were respelled."""
    morphemes: list[Morpheme] = _tagger().parse(text)
    parts = [place for morpheme in morphemes for place in _parts(morpheme)]
    ends = {morpheme.span.end for morpheme in morphemes}
    spelled = respell(text, ends.union(parts))
    items: list[Syllable | str] = [split_syllable(character) or character for character in spelled]
    for morpheme, after in pairwise([*morphemes, None]):
        if morpheme is None:  # never; the type of the padded list allows it
            continue
        tags = morpheme.feature.pos.split("+")
        last = items[morpheme.span.end - 1]
        if tags[0].startswith(_WORDS):
            _mark_words(items, morpheme)
        if isinstance(last, Syllable):
            joined = after is not None and after.span.start == morpheme.span.end
            last.ends_stem = tags[-1] in _STEMS and joined and after is not None and after.feature.pos.startswith("E")
            last.before_noun = tags[-1] == "ETM" and last.coda == "ㄹ"
            last.object_marker = tags == ["JKO"]
        if any(tag.startswith("E") for tag in tags):
            _mark_ending(items, morpheme)
    return items, {place for place, (one, other) in enumerate(zip(text, spelled, strict=True)) if one != other}


def _parts(morpheme: Morpheme) -> list[int]:
    """Return where the words of a compound begin; of any other morpheme, where it begins."""
    starts = [morpheme.span.start]
    if morpheme.feature.type == "Compound":
        words = [part.split("/")[0] for part in (morpheme.feature.expression or "").split("+")]
        if "".join(words) == morpheme.surface:
            starts += [morpheme.span.start + length for length in accumulate(map(len, words[:-1]))]
    return starts


def _mark_words(items: list[Syllable | str], morpheme: Morpheme) -> None:
    """Mark the beginnings of words; within a compound some begin with an n that is not written: 꽃+잎, 색+연필."""
    starts = _parts(morpheme)
    for start, end in pairwise([*starts, morpheme.span.end]):
        first, before = items[start], items[start - 1] if start else ""
        if not isinstance(first, Syllable):
            continue
        first.starts_word = True
        word = morpheme.surface[start - starts[0] : end - starts[0]]
        takes_n = first.onset == "ㅇ" and (first.nucleus in "ㅑㅕㅛㅠ" or word in _TAKE_N)
        if start > starts[0] and takes_n and isinstance(before, Syllable) and before.coda:
            first.onset = "ㄴ"


def _mark_ending(items: list[Syllable | str], morpheme: Morpheme) -> None:
    """Endings that begin with ㄹ tense the consonant after it: 할수록, 먹을지, 갈게."""
    ending = (morpheme.feature.expression or morpheme.surface).split("+")[-1]
    if not ending.startswith(("\u11af", "을")):  # ㄹ as a final letter
        return
    for here, after in pairwise(items[morpheme.span.start : morpheme.span.end]):
        if isinstance(here, Syllable) and isinstance(after, Syllable) and here.coda == "ㄹ" and after.onset in _TENSED:
            here.before_noun = True
