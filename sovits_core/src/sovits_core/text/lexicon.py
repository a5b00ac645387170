"""Readings that people give for words: they go before those of every dictionary, rule and network."""

# ruff: noqa: RUF001 -- letters of other scripts
from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal, NamedTuple, get_args

from sovits_core.errors import LexiconRejected
from sovits_core.text.ipa import to_arpabet
from sovits_core.text.spans import SpannedText
from sovits_core.text.symbols import symbols
from sovits_core.text.word_lists import word_set

Alphabet = Literal["cmu", "ipa", "pinyin", "jyutping", "kana", "hangul"]
LANGUAGE_OF: Final[Mapping[Alphabet, str]] = {
    "cmu": "en", "ipa": "en", "pinyin": "zh", "jyutping": "yue", "kana": "ja", "hangul": "ko",
}  # fmt: skip
MAX_ENTRIES: Final = 2000
MAX_WORD: Final = 100
MAX_READING: Final = 400
# Stands for an entry's word until it is read; text from outside has none of these characters left.
FIRST_PLACEHOLDER: Final = 0xE000
_CONSONANTS: Final = word_set("B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH")
_HAN_WORD: Final = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U000323af]+")
_KANA: Final = re.compile(r"[\u3041-\u3096\u30a1-\u30fa\u30fc]+")
_HANGUL: Final = re.compile(r"[\uac00-\ud7a3]+(?: [\uac00-\ud7a3]+)*")
_PINYIN: Final = re.compile(r"([a-zü]+)([1-5]?)")
_JYUTPING: Final = re.compile(r"[a-z]+[1-6]")
_TONE_MARKS: Final = {"\u0304": "1", "\u0301": "2", "\u030c": "3", "\u0300": "4"}


class LexiconEntry(NamedTuple):
    """A word as it is written, and how it is read."""

    word: str
    reading: str
    """Phones or syllables with spaces between them (cmu, pinyin, jyutping), or a spelling (ipa, kana, hangul)."""
    alphabet: Alphabet
    """What the reading is written in; it tells the language: cmu and ipa are English."""


@dataclass(frozen=True)
class Lexicon:
    """Entries that have been checked; of two for one word in one language the later one counts."""

    entries: tuple[LexiconEntry, ...] = ()
    _parsed: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict, compare=False, repr=False)

    @staticmethod
    def of(entries: Iterable[LexiconEntry]) -> Lexicon:
        """Return a lexicon of some entries.

        Raises:
            LexiconRejected: there are too many, or one cannot be read; it is named.
        """
        kept = tuple(entries)
        if len(kept) > MAX_ENTRIES:
            raise LexiconRejected(f"a lexicon of {len(kept)} entries is too long: give at most {MAX_ENTRIES}")
        parsed: dict[str, dict[str, tuple[str, ...]]] = {}
        for entry in kept:
            language = _language(entry)
            parsed.setdefault(language, {})[entry.word.strip()] = _parse(entry)
        return Lexicon(kept, parsed)

    def __bool__(self) -> bool:
        return bool(self.entries)

    def readings(self, language: str) -> Mapping[str, tuple[str, ...]]:
        """Return the words of a language and what they are read as: phones, syllables, or one spelling."""
        return self._parsed.get(language, {})

    def then(self, later: Lexicon) -> Lexicon:
        """Return both as one; where both have a word, the reading of the later one counts."""
        if not self or not later:
            return self or later
        languages = dict.fromkeys((*self._parsed, *later._parsed))
        parsed = {language: {**self.readings(language), **later.readings(language)} for language in languages}
        return Lexicon((*self.entries, *later.entries), parsed)

    def phones_at(self, placeholder: str) -> tuple[str, ...]:
        """Return the English phones that a placeholder stands for."""
        return self._english[ord(placeholder) - FIRST_PLACEHOLDER][1]

    def respell(self, text: SpannedText, mode: str) -> SpannedText:
        """Put placeholders for English entries into a text, and the spellings of Japanese and Korean ones."""
        for language in ("ja", "ko"):
            spelled = self.readings(language)
            if spelled and mode in {language, f"all_{language}", "auto", "auto_yue"}:
                text = text.sub(_any_of(spelled), lambda match, spelled=spelled: spelled[match[0]][0], "lexicon")  # type: ignore[misc]
        if not self._english:
            return text
        return text.sub(self._english_words, self._placeholder, "lexicon")

    def restore(self, text: SpannedText) -> SpannedText:
        """Put the words back for their placeholders."""
        if not self._english or text.text.isascii():
            return text
        last = chr(FIRST_PLACEHOLDER + len(self._english) - 1)
        return text.sub(
            re.compile(f"[{chr(FIRST_PLACEHOLDER)}-{last}]"),
            lambda match: self._english[ord(match[0]) - FIRST_PLACEHOLDER][0],
            "lexicon",
        )

    @cached_property
    def _english(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        return tuple(self.readings("en").items())

    @cached_property
    def _index(self) -> dict[str, int]:
        exact = {word: index for index, (word, _) in enumerate(self._english)}
        return {word.casefold(): index for word, index in exact.items()} | exact

    @cached_property
    def _english_words(self) -> re.Pattern[str]:
        words = sorted((word for word, _ in self._english), key=len, reverse=True)
        return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, words))})(?!\w)", re.IGNORECASE)

    def _placeholder(self, match: re.Match[str]) -> str | None:
        index = self._index.get(match[0], self._index.get(match[0].casefold()))
        return None if index is None else chr(FIRST_PLACEHOLDER + index)


NO_ENTRIES: Final = Lexicon()


def _any_of(words: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, sorted(words, key=len, reverse=True))))


def _language(entry: LexiconEntry) -> str:
    if entry.alphabet not in LANGUAGE_OF:
        raise LexiconRejected(
            f"lexicon: alphabet {entry.alphabet!r} of {entry.word[:40]!r} is not known; use one of "
            f"{', '.join(get_args(Alphabet))}"
        )
    return LANGUAGE_OF[entry.alphabet]


def _parse(entry: LexiconEntry) -> tuple[str, ...]:
    word, reading = entry.word.strip(), entry.reading.strip()
    if not 0 < len(word) <= MAX_WORD or not 0 < len(reading) <= MAX_READING:
        raise LexiconRejected(
            f"lexicon: {word[:40]!r} as {reading[:40]!r}: give a word of at most {MAX_WORD} characters and a "
            f"reading of at"
            f" most {MAX_READING}"
        )
    return _PARSERS[entry.alphabet](word, reading)


def _cmu(word: str, reading: str) -> tuple[str, ...]:
    known = {name for name in symbols("v1") if name[-1] in "012" and name[:-1].isupper()} | _CONSONANTS
    phones = tuple(reading.upper().split())
    if wrong := [phone for phone in phones if phone not in known]:
        raise LexiconRejected(
            f"lexicon: {wrong[0]!r} in the reading of {word[:40]!r} is no ARPAbet phone; write vowels with "
            f"their stress, as "
            '"K UW2 B ER0 N EH1 T IY0 Z"'
        )
    return phones


def _ipa(word: str, reading: str) -> tuple[str, ...]:
    phones, rest = to_arpabet(reading)
    if rest or not phones:
        raise LexiconRejected(
            f"lexicon: {rest[:10]!r} in the reading of {word[:40]!r} is no English sound in IPA; write it as "
            f"/ˌkuːbərˈnɛtiːz/"
        )
    return phones


def _pinyin(word: str, reading: str) -> tuple[str, ...]:
    syllables = tuple(_numbered(syllable) for syllable in reading.lower().split())
    if not _HAN_WORD.fullmatch(word) or len(syllables) != len(word) or not all(map(_PINYIN.fullmatch, syllables)):
        raise LexiconRejected(
            f"lexicon: {word[:40]!r} as {reading[:40]!r}: give a word of Han characters and one syllable in "
            f"pinyin for each,"
            ' as "chong2 qing4"'
        )
    return syllables


def _numbered(syllable: str) -> str:
    """Return a syllable with a tone mark as one with a number, and ü as v; the neutral tone is 5."""
    parts = unicodedata.normalize("NFD", syllable)
    tone = next((_TONE_MARKS[sign] for sign in parts if sign in _TONE_MARKS), "")
    bare = unicodedata.normalize("NFC", "".join(sign for sign in parts if sign not in _TONE_MARKS))
    match = re.fullmatch(r"([a-zü:]+)([1-5]?)", bare)
    if match is None:
        return syllable
    return match[1].replace("u:", "v").replace("ü", "v") + (match[2] or tone or "5")


def _jyutping(word: str, reading: str) -> tuple[str, ...]:
    syllables = tuple(reading.lower().split())
    if not _HAN_WORD.fullmatch(word) or len(syllables) != len(word) or not all(map(_JYUTPING.fullmatch, syllables)):
        raise LexiconRejected(
            f"lexicon: {word[:40]!r} as {reading[:40]!r}: give a word of Han characters and one syllable in "
            f"Jyutping for "
            'each, as "hoeng1 gong2"'
        )
    return syllables


def _kana(word: str, reading: str) -> tuple[str, ...]:
    spelled = unicodedata.normalize("NFKC", reading)
    if not _KANA.fullmatch(spelled):
        raise LexiconRejected(
            f"lexicon: {reading[:40]!r} for {word[:40]!r} is not kana alone; write it as だいすけ or ダイスケ"
        )
    return ("".join(chr(ord(sign) + 0x60) if "\u3041" <= sign <= "\u3096" else sign for sign in spelled),)


def _hangul(word: str, reading: str) -> tuple[str, ...]:
    spelled = unicodedata.normalize("NFC", reading)
    if not _HANGUL.fullmatch(spelled):
        raise LexiconRejected(
            f"lexicon: {reading[:40]!r} for {word[:40]!r} is not Hangul alone; write it as 쿠버네티스"
        )
    return (spelled,)


_PARSERS: Final = {
    "cmu": _cmu, "ipa": _ipa, "pinyin": _pinyin, "jyutping": _jyutping, "kana": _kana, "hangul": _hangul,
}  # fmt: skip
