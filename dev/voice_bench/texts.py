"""The sentences, and texts in the recogniser's spelling."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from sovits_core.text import phonemize

SENTENCES = Path(__file__).with_name("sentences.txt")
SPOKEN = 20
"""The first ones are synthesized; all of them are the closed set."""


@cache
def sentences() -> tuple[str, ...]:
    """Return the closed set, in the order of the file."""
    return tuple(SENTENCES.read_text(encoding="utf-8").splitlines())


@cache
def phones_of(text: str) -> tuple[str, ...]:
    """Return the phones of an English text by our own front end: no stress, no punctuation."""
    return tuple(phone.rstrip("012") for phone in phonemize(text, "en").phones if phone[0].isalpha())


@cache
def plain(text: str) -> str:
    """Return the words of a text in the recogniser's spelling: lower case, no punctuation."""
    return " ".join(re.findall(r"[a-z]+(?:'[a-z]+)*", text.lower().replace("\u2019", "'")))
