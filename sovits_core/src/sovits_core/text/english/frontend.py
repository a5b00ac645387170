"""English text to ARPAbet phones: normalise, look words up, derive or predict the rest, keep the punctuation."""

from __future__ import annotations

import re

from sovits_core.text.english.homographs import choose
from sovits_core.text.english.normalization import normalize
from sovits_core.text.english.words import pronounce, spell_letters, with_plural
from sovits_core.text.lexicon import Lexicon
from sovits_core.text.readings import Context, WordReading

__all__ = ["normalize", "read"]

_PIECE = re.compile(r"[\ue000-\uf8ff](?:'s)?|[A-Za-z]+(?:['-][A-Za-z]+)*'?|[.,!?…]")
_PLACEHOLDER = re.compile(r"[\ue000-\uf8ff]")
# The official front end puts a comma before anything shorter, so that the decoder has room to start.
_MIN_PHONES = 4


def read(normalized: str, context: Context) -> list[WordReading]:
    """Return the words and marks of a normalised text with their phones; unknown words are predicted."""
    pieces = list(_PIECE.finditer(normalized))
    words = [piece[0].lower() for piece in pieces]
    found = [_read(words, place, piece, context.lexicon) for place, piece in enumerate(pieces)]
    count = sum(len(word.phones) for word in found)
    return found if count >= _MIN_PHONES or not found else [WordReading("", (",",), "a pause to begin from", 0), *found]


def _read(words: list[str], place: int, piece: re.Match[str], lexicon: Lexicon) -> WordReading:
    written = piece[0]
    if _PLACEHOLDER.match(written):
        phones = list(lexicon.phones_at(written[0]))
        return WordReading(written, with_plural(phones) if written[1:] else tuple(phones), "lexicon", piece.start())
    if not written[0].isalpha():
        return WordReading(written, (written,), "mark", piece.start())
    # A lone capital is the name of a letter; "A" is the article, as normalize() writes "Ay" for the letter.
    if len(written) == 1 and written.isupper() and written not in "AI":
        return WordReading(written, tuple(spell_letters(written)), "letter", piece.start())
    if chosen := choose(words, place):
        return WordReading(written, chosen.phones, f"homograph: {chosen.meaning}", piece.start())
    pronunciation = pronounce(words[place])
    return WordReading(written, pronunciation.phones, pronunciation.source, piece.start())
