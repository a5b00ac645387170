"""Lists of words as they stand in the source: with spaces between them."""

from __future__ import annotations


def word_list(words: str) -> list[str]:
    """Return the words of a text that has spaces between them, in their order."""
    return words.split()


def word_set(words: str) -> frozenset[str]:
    """Return the words of a text that has spaces between them."""
    return frozenset(words.split())
