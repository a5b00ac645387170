"""What a language's reader is given beside a text, and what it says of each word."""

from __future__ import annotations

from typing import NamedTuple

from sovits_core.text.chinese.readings import PolyphoneReader
from sovits_core.text.lexicon import NO_ENTRIES, Lexicon


class WordReading(NamedTuple):
    """A word or mark of a normalised text."""

    text: str
    phones: tuple[str, ...]
    source: str
    """The dictionary, rule or network that read it, in words."""
    start: int
    """Its first character in the normalised text."""
    counts: tuple[int, ...] = ()
    """Phones per character, in languages whose characters have features of their own."""


class Context(NamedTuple):
    """What a language's reader needs to know beside the text."""

    table: str = "v2"
    """The base's symbol table."""
    polyphones: PolyphoneReader | None = None
    """Reads the Mandarin characters that have several readings, where the base has such a network."""
    lexicon: Lexicon = NO_ENTRIES
    """Readings that go before those of the dictionaries."""
    locale: str = ""
    """How dates and numbers are written: a name of `locales.LOCALES`; empty: as the language has them."""
