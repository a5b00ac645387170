"""A lexicon as a file: a line for each word."""

from __future__ import annotations

from pathlib import Path
from typing import Final, cast

from sovits_core.errors import LexiconRejected
from sovits_core.text.lexicon import LANGUAGE_OF, Alphabet, Lexicon, LexiconEntry

LEXICON_FILE: Final = (
    f"a file of lines with word, reading and alphabet ({', '.join(LANGUAGE_OF)}), tabs between them; # begins a comment"
)
_FIELDS: Final = 3


def read_lexicon(path: Path) -> Lexicon:
    """Return the lexicon in a file; raise LexiconRejected with the line that is no entry."""
    entries = []
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise LexiconRejected(f"lexicon {path.name} cannot be read: {error}") from error
    for number, line in enumerate(lines, start=1):
        fields = line.split("\t")
        if line.strip() and not line.startswith("#"):
            if len(fields) != _FIELDS:
                raise LexiconRejected(
                    f"lexicon {path.name}, line {number}, has {len(fields)} fields: give word, reading and alphabet"
                    " with tabs between them"
                )
            entries.append(LexiconEntry(fields[0], fields[1], cast("Alphabet", fields[2].strip())))
    return Lexicon.of(entries)
