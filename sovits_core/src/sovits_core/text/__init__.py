"""Text to phones: one lazily imported module per language behind a few functions; no torch, no downloads."""

from __future__ import annotations

import unicodedata
from importlib import import_module
from typing import NamedTuple, Protocol, cast, runtime_checkable

from sovits_core.errors import TextRejected
from sovits_core.text.chinese.readings import PolyphoneReader
from sovits_core.text.scripts import foreign_letters
from sovits_core.text.segmentation import AUTOMATIC, EVERYTHING, segments
from sovits_core.text.sentences import split_sentences
from sovits_core.text.split_methods import SPLIT_METHODS, split_text
from sovits_core.text.symbols import phone_ids

__all__ = [
    "LANGUAGES",
    "MAX_CHARACTERS",
    "MODES",
    "SPLIT_METHODS",
    "PhonemeSegment",
    "Phonemes",
    "PolyphoneReader",
    "foreign_letters",
    "phone_ids",
    "phonemize",
    "phonemize_for_synthesis",
    "require_mode",
    "split_sentences",
    "split_text",
]

# Language code -> the module that offers `normalize` and `phones`; imported at the first text in that language.
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
# Symbols that are letters and yet make no sound.
_SILENT = frozenset(["UNK", "SP", "SP2", "SP3", "停", "空"])
_SINCE_V2 = frozenset(["ko", "yue"])
_PAUSES = frozenset(",.!?…-")


class PhonemeSegment(NamedTuple):
    """A part of a text in one language, and its phones."""

    language: str
    normalized: str
    phones: tuple[str, ...]
    word2ph: tuple[int, ...] | None
    """Phones per character of `normalized`, for languages whose characters have features of their own (zh, yue)."""


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

    def normalize(self, text: str) -> str:
        """Spell out numbers, abbreviations and signs."""

    def phones(self, normalized: str) -> list[str]:
        """Return the phones and punctuation of a normalised text."""


@runtime_checkable
class CharacterLanguage(Protocol):
    """The interface of a language whose characters are syllables."""

    def phones_by_character(
        self, normalized: str, table: str, polyphones: PolyphoneReader | None, /
    ) -> tuple[list[str], list[int]]:
        """Return the phones in a symbol table, and how many each character of the normalised text has."""


def require_mode(language: str) -> None:
    """Raise TextRejected unless the language is one of MODES."""
    if language not in MODES:
        raise TextRejected(f"language {language!r} is not offered; use one of: {', '.join(MODES)}")


def phonemize(text: str, language: str, table: str = "v2", polyphones: PolyphoneReader | None = None) -> Phonemes:
    """Turn text into phones.

    `language` is one of MODES: a language takes words in the scripts of the others too and reads Han characters as its
    own. `table` is the base's symbol table: v1 has neither Korean nor Cantonese, and 儿 is a syllable of its own there.
    `polyphones` reads the Mandarin characters that have several readings, where the base has such a network.
    Raises TextRejected when the language is not offered or there is nothing to speak, and MissingExtra when the
    packages for a language are not installed.
    """
    require_mode(language)
    if len(text) > MAX_CHARACTERS:
        raise TextRejected(f"the text has {len(text)} characters, at most {MAX_CHARACTERS} are taken: split it first")
    if not text.strip():
        raise TextRejected("the text is empty: give at least one word to speak")
    # Halves of characters, which JSON may hold, are no text that a dictionary takes.
    whole = text.encode("utf-8", errors="replace").decode("utf-8")
    spoken = _read(unicodedata.normalize("NFC", whole), language, table, polyphones)
    phones = tuple(phone for part in spoken for phone in part.phones)
    if not any(phone[0].isalpha() and phone not in _SILENT for phone in phones):
        raise TextRejected(
            f"there is nothing to speak in {text[:60]!r}: give at least one word in language {language!r}"
        )
    normalized = (" " if len({part.language for part in spoken}) > 1 else "").join(part.normalized for part in spoken)
    return Phonemes(phones, normalized, _joined_word2ph(spoken), spoken)


def phonemize_for_synthesis(
    text: str, language: str, table: str = "v2", polyphones: PolyphoneReader | None = None
) -> Phonemes:
    """Return the phones of a text to be spoken: with a full stop before it where there are fewer than six.

    Training texts are read with `phonemize`, as the official preparation reads them.
    """
    found = phonemize(text, language, table, polyphones)
    return phonemize(f".{text}", language, table, polyphones) if len(found.phones) < MIN_PHONES else found


def _read(text: str, mode: str, table: str, polyphones: PolyphoneReader | None) -> tuple[PhonemeSegment, ...]:
    parts = segments(text, mode)
    spoken = []
    for place, part in enumerate(parts, start=1):
        if table == "v1" and part.language in _SINCE_V2:
            raise TextRejected(
                f"{part.text[:60]!r} is of language {part.language!r}, which the symbols of v1 do not have: use a base"
                " of v2 or later"
            )
        module = cast("Language", import_module(LANGUAGES[part.language]))
        normalized = module.normalize(part.text)
        if isinstance(module, CharacterLanguage):
            phones, word2ph = module.phones_by_character(normalized, table, polyphones)
            spoken.append(PhonemeSegment(part.language, normalized, tuple(phones), tuple(word2ph)))
        else:
            phones = module.phones(normalized)
            # A language drops the comma at its end, which is a pause before the next one.
            paused = phones and phones[-1] not in _PAUSES and part.text.rstrip().endswith((",", "\uff0c", "、"))
            mark = [","] if paused and place < len(parts) else []
            spoken.append(PhonemeSegment(part.language, normalized, (*phones, *mark), None))
    return tuple(part for part in spoken if part.phones)


def _joined_word2ph(spoken: tuple[PhonemeSegment, ...]) -> tuple[int, ...] | None:
    counts: list[int] = []
    for part in spoken:
        if part.word2ph is None:
            return None
        counts += part.word2ph
    return tuple(counts)
