"""Text to phones: one lazily imported module per language behind a few functions; no torch, no downloads."""

from sovits_core.text.chinese.readings import PolyphoneReader
from sovits_core.text.lexicon import Lexicon, LexiconEntry
from sovits_core.text.locales import LOCALES, require_locale
from sovits_core.text.phonemes import (
    LANGUAGES,
    MAX_CHARACTERS,
    MODES,
    Phonemes,
    PhonemeSegment,
    phonemize,
    phonemize_for_synthesis,
    require_mode,
)
from sovits_core.text.sentences import split_sentences
from sovits_core.text.split_methods import SPLIT_METHODS, split_text
from sovits_core.text.symbols import phone_ids

__all__ = [
    "LANGUAGES",
    "LOCALES",
    "MAX_CHARACTERS",
    "MODES",
    "SPLIT_METHODS",
    "Lexicon",
    "LexiconEntry",
    "PhonemeSegment",
    "Phonemes",
    "PolyphoneReader",
    "phone_ids",
    "phonemize",
    "phonemize_for_synthesis",
    "require_locale",
    "require_mode",
    "split_sentences",
    "split_text",
]
