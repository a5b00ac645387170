"""Text to phones: one lazily imported module per language behind three functions; no torch, no downloads."""

from __future__ import annotations

import unicodedata
from importlib import import_module
from typing import NamedTuple, Protocol, cast

from sovits_core.errors import TextRejected
from sovits_core.symbols import phone_ids
from sovits_core.text.splitting import split_sentences

__all__ = ["LANGUAGES", "MAX_CHARACTERS", "Phonemes", "phone_ids", "phonemize", "split_sentences"]

# Language code -> the module that offers `normalize` and `phones`; imported at the first text in that language.
LANGUAGES = {"en": "sovits_core.text.english"}
# Four minutes of speech: longer texts are to be split first.
MAX_CHARACTERS = 4096


class Phonemes(NamedTuple):
    """What a text sounds like: symbols of the family's tables, and the spelled-out text they were read from."""

    phones: tuple[str, ...]
    normalized: str


class Language(Protocol):
    """What a language's module offers."""

    def normalize(self, text: str) -> str:
        """Spell out numbers, abbreviations and signs."""

    def phones(self, normalized: str) -> list[str]:
        """Return the phones and punctuation of a normalised text."""


def phonemize(text: str, language: str) -> Phonemes:
    """Turn text into phones; raise TextRejected when the language is not offered or there is nothing to speak."""
    if language not in LANGUAGES:
        offered = ", ".join(sorted(LANGUAGES))
        raise TextRejected(f"language {language!r} is not offered; use one of: {offered}")
    if len(text) > MAX_CHARACTERS:
        raise TextRejected(f"the text has {len(text)} characters, at most {MAX_CHARACTERS} are taken: split it first")
    if not text.strip():
        raise TextRejected("the text is empty: give at least one word to speak")
    module = cast("Language", import_module(LANGUAGES[language]))
    normalized = module.normalize(unicodedata.normalize("NFKC", text))
    phones = tuple(module.phones(normalized))
    if not any(phone[0].isalpha() for phone in phones):
        raise TextRejected(
            f"there is nothing to speak in {text[:60]!r}: give at least one word in language {language!r}"
        )
    return Phonemes(phones, normalized)
