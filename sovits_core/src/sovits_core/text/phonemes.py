"""A text to phones: visible characters, parts in one language each, what is said for them, how that is read."""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple, Protocol, cast

from sovits_core.errors import TextRejected, UnreadableLetters
from sovits_core.text.chinese.readings import PolyphoneReader
from sovits_core.text.invisible import visible
from sovits_core.text.lexicon import NO_ENTRIES, Lexicon
from sovits_core.text.locales import in_locale, require_locale
from sovits_core.text.readings import Context, WordReading
from sovits_core.text.scripts import SILENT, foreign_letters, unread_letters
from sovits_core.text.segmentation import AUTOMATIC, EVERYTHING, segments
from sovits_core.text.spans import Origin, SpannedText

# Language code -> the module that offers `normalize` and `read`; imported at the first text in that language.
LANGUAGES = {
    "en": "sovits_core.text.english.frontend",
    "ja": "sovits_core.text.japanese.frontend",
    "ko": "sovits_core.text.korean.frontend",
    "yue": "sovits_core.text.chinese.cantonese",
    "zh": "sovits_core.text.chinese.mandarin",
}
# What `phonemize` takes: a language, alone or mixed with others, or a way to find the languages of a text.
MODES = (*LANGUAGES, *AUTOMATIC, *EVERYTHING)
# Four minutes of speech: longer texts are to be split first.
MAX_CHARACTERS = 4096
# The official inference puts a full stop before anything shorter, so that the decoder has room to start.
MIN_PHONES = 6
_SINCE_V2 = frozenset(["ko", "yue"])
_PAUSES = frozenset(",.!?…-")


class PhonemeSegment(NamedTuple):
    """A part of a text in one language, and its phones."""

    language: str
    normalized: str
    phones: tuple[str, ...]
    word2ph: tuple[int, ...] | None
    """Phones per character of `normalized`, for languages whose characters have features of their own (zh, yue)."""
    words: tuple[WordReading, ...] = ()
    """How the words and marks of `normalized` were read; their phones, joined, are `phones`."""
    origins: tuple[Origin, ...] = ()
    """Which characters of the text each character of `normalized` was written for, and by which rule."""


class Phonemes(NamedTuple):
    """The pronunciation of a text: symbols of the family's tables, and the spelled-out text they were read from."""

    phones: tuple[str, ...]
    normalized: str
    word2ph: tuple[int, ...] | None = None
    """Phones per character of `normalized`; None unless every segment has them."""
    segments: tuple[PhonemeSegment, ...] = ()
    """The parts in one language each; their phones, joined, are `phones`."""


class Language(Protocol):
    """The interface of a language's module."""

    def normalize(self, text: SpannedText, /) -> SpannedText:
        """Spell out numbers, abbreviations and signs."""

    def read(self, normalized: str, context: Context, /) -> list[WordReading]:
        """Return the words and marks of a normalised text with their phones."""


def require_mode(language: str) -> None:
    """Raise TextRejected unless the language is one of MODES."""
    if language not in MODES:
        raise TextRejected(f"language {language!r} is not offered; use one of: {', '.join(MODES)}")


def phonemize(
    text: str,
    language: str,
    table: str = "v2",
    polyphones: PolyphoneReader | None = None,
    lexicon: Lexicon = NO_ENTRIES,
    *,
    locale: str = "",
) -> Phonemes:
    """Turn text into phones.

    `language` is one of MODES: a language takes words in the scripts of the others too and reads Han characters as its
    own. `table` is the base's symbol table: v1 has neither Korean nor Cantonese, and 儿 is a syllable of its own there.
    `polyphones` reads the Mandarin characters that have several readings, where the base has such a network; the
    readings of `lexicon` go before all others. `locale` is a name of `locales.LOCALES` that says how dates and numbers
    are written, whatever the language; without one each language has its own way.
    Raises TextRejected when the language or locale is not offered or there is nothing to speak, UnreadableLetters when
    a word is in a script that nothing here reads, and MissingExtra when the packages for a language are not installed.
    """
    require_mode(language)
    require_locale(locale)
    if len(text) > MAX_CHARACTERS:
        raise TextRejected(f"the text has {len(text)} characters, at most {MAX_CHARACTERS} are taken: split it first")
    if not text.strip():
        raise TextRejected("the text is empty: give at least one word to speak")
    spoken = _read(visible(text), language, Context(table, polyphones, lexicon, locale))
    phones = tuple(phone for part in spoken for phone in part.phones)
    if not any(phone[0].isalpha() and phone not in SILENT for phone in phones):
        raise TextRejected(
            f"there is nothing to speak in {text[:60]!r}: give at least one word in language {language!r}"
        )
    normalized = (" " if len({part.language for part in spoken}) > 1 else "").join(part.normalized for part in spoken)
    return Phonemes(phones, normalized, _joined_word2ph(spoken), spoken)


def phonemize_for_synthesis(
    text: str,
    language: str,
    table: str = "v2",
    polyphones: PolyphoneReader | None = None,
    lexicon: Lexicon = NO_ENTRIES,
    *,
    locale: str = "",
) -> Phonemes:
    """Return the phones of a text to be spoken: with a full stop before it where there are fewer than six.

    Training texts are read with `phonemize`, as the official preparation reads them.
    """
    found = phonemize(text, language, table, polyphones, lexicon, locale=locale)
    if len(found.phones) >= MIN_PHONES:
        return found
    return phonemize(f".{text}", language, table, polyphones, lexicon, locale=locale)


def _read(text: SpannedText, mode: str, context: Context) -> tuple[PhonemeSegment, ...]:
    text = in_locale(context.lexicon.respell(text, mode), context.locale)
    parts = segments(text.text, mode)
    for part in parts:
        if letters := foreign_letters(part.text, part.language):
            raise UnreadableLetters(letters, mode)
        if context.table == "v1" and part.language in _SINCE_V2:
            raise TextRejected(
                f"{part.text[:60]!r} is of language {part.language!r}, which the symbols of v1 do not have: use a base"
                " of v2 or later"
            )
    spoken = []
    start = 0
    for place, part in enumerate(parts, start=1):
        written = text[start : start + len(part.text)]
        start += len(part.text)
        module = cast("Language", import_module(LANGUAGES[part.language]))
        normalized = module.normalize(written)
        words = module.read(normalized.text, context)
        if letters := unread_letters(written, normalized, words):
            raise UnreadableLetters(letters, part.language)
        if place < len(parts) and _pauses(part.text, words):
            words = [*words, WordReading(",", (",",), "mark", len(normalized))]
        spoken.append(_segment(part.language, normalized, words, context.lexicon))
    return tuple(part for part in spoken if part.phones)


def _pauses(written: str, words: list[WordReading]) -> bool:
    """Say whether a language has dropped the comma at the end of its part, which is a pause before the next one."""
    last = next((word.phones[-1] for word in reversed(words) if word.phones), None)
    if last is None or last in _PAUSES or (words and words[-1].counts):
        return False
    return written.rstrip().endswith((",", "\uff0c", "、"))


def _segment(language: str, normalized: SpannedText, words: list[WordReading], lexicon: Lexicon) -> PhonemeSegment:
    shown = lexicon.restore(normalized)
    if shown is not normalized:
        lengths = [len(lexicon.restore(normalized[: word.start])) for word in words]
        words = [
            word._replace(start=start, text=lexicon.restore(SpannedText(word.text)).text)
            for word, start in zip(words, lengths, strict=True)
        ]
    phones = tuple(phone for word in words for phone in word.phones)
    word2ph = tuple(count for word in words for count in word.counts) if language in {"zh", "yue"} else None
    return PhonemeSegment(language, shown.text, phones, word2ph, tuple(words), tuple(shown.origins))


def _joined_word2ph(spoken: tuple[PhonemeSegment, ...]) -> tuple[int, ...] | None:
    counts: list[int] = []
    for part in spoken:
        if part.word2ph is None:
            return None
        counts += part.word2ph
    return tuple(counts)
