"""English text to ARPAbet phones: normalise, look words up, derive or guess the rest, keep the punctuation."""

from __future__ import annotations

import re
import unicodedata

from sovits_core.text.english.numbers import spell_numbers
from sovits_core.text.english.words import is_known, pronounce, spell_letters

_PIECE = re.compile(r"[A-Za-z]+(?:['-][A-Za-z]+)*'?|[.,!?…-]")
_ALL_CAPITALS = re.compile(r"\b[A-Z]{2,}(?=s?\b)")
# The official front end puts a comma before anything shorter, so that the decoder has room to start.
_MIN_PHONES = 4
_TITLES = {
    "mr": "Mister", "mrs": "Missus", "ms": "Miz", "dr": "Doctor", "prof": "Professor", "st": "Saint", "jr": "Junior",
    "sr": "Senior", "capt": "Captain", "gen": "General", "col": "Colonel", "lt": "Lieutenant", "rev": "Reverend",
    "hon": "Honorable", "ltd": "Limited", "co": "Company", "vs": "versus", "etc": "et cetera",
}  # fmt: skip
_TITLE = re.compile(rf"\b({'|'.join(_TITLES)})\.", re.IGNORECASE)
_UNITS = {
    "kg": "kilograms", "mg": "milligrams", "km": "kilometers", "cm": "centimeters", "mm": "millimeters",
    "ml": "milliliters", "MB": "megabytes", "GB": "gigabytes", "TB": "terabytes", "mph": "miles per hour",
}  # fmt: skip
_UNIT = re.compile(rf"(?<=\d)\s?({'|'.join(_UNITS)})\b")
_SIGNS = {"&": " and ", "@": " at ", "%": " percent", "+": " plus ", "=": " equals ", "°": " degrees ", "#": " number "}
_TRANSLITERATE = str.maketrans(
    {
        "\u2019": "'",
        "\u2018": "'",
        "\u02bc": "'",
        "`": "'",
        "“": "",
        "”": "",
        '"': "",
        "«": "",
        "»": "",
        "…": "...",
        "_": " ",
        "*": " ",
    }
)


def normalize(text: str) -> str:
    """Spell out titles, numbers and signs; leave letters, apostrophes, hyphens and the punctuation . , ! ? -."""
    text = unicodedata.normalize("NFKC", text).translate(_TRANSLITERATE)
    text = re.sub(r"^\W*A\W*$", "Ay", text)  # alone it is no article
    text = _TITLE.sub(lambda match: _TITLES[match[1].lower()], text)
    text = re.sub(r"\be\.g\.", "for example", text)
    text = re.sub(r"\bi\.e\.", "that is", text)
    text = re.sub(r"\b((?:[A-Za-z]\.){2,})(?=\s+[a-z]|[,;]|$)|\b((?:[A-Z]\.){2,})", _initials, text)
    text = re.sub(r"\b([A-Z])\.(?=\s+[A-Z])", r"\1", text)  # the initials of a name
    text = _UNIT.sub(lambda match: f" {_UNITS[match[1]]}", text)
    text = spell_numbers(text)
    for sign, words in _SIGNS.items():
        text = text.replace(sign, words)
    text = _spell_capitals(text)
    text = _without_accents(text)
    # Between spaces a dash is a pause, not a minus sign (the official front end says "minus" here).
    text = re.sub(r"\s+[-\u2013\u2014]+\s+|\s*[\u2013\u2014]+\s*", ", ", text)
    text = re.sub(r"[;()\[\]]", ",", text)
    text = re.sub(r"[^A-Za-z' .,!?-]", " ", text)
    # A row of marks is one pause; the strongest of them decides how it sounds.
    text = re.sub(r"[.,!?](?:[\s.,!?]*[.,!?])?", _one_mark, text)
    return re.sub(r"\s+([.,!?])", r"\1", re.sub(r"\s+", " ", text)).strip(" ,")


def phones(normalized: str) -> list[str]:
    """Return ARPAbet phones with stress, and punctuation, of a normalised text; unknown words are guessed."""
    found: list[str] = []
    for piece in _PIECE.findall(normalized):
        if piece[0].isalpha():
            found += _word(piece)
        elif piece != "-":
            found.append(piece)
    return found if len(found) >= _MIN_PHONES or not found else [",", *found]


def _word(word: str) -> list[str]:
    # A lone capital is the name of a letter; "A" is the article, as normalize() writes "Ay" for the letter.
    if len(word) == 1 and word.isupper() and word not in "AI":
        return spell_letters(word)
    return pronounce(word.lower())


def _initials(match: re.Match[str]) -> str:
    letters = (match[1] or match[2]).replace(".", "").upper()
    return " ".join(_letter(letter) for letter in letters)


def _letter(letter: str) -> str:
    # "Ay" is read as the letter's name, where "A" would be the article.
    return "Ay" if letter == "A" else letter


def _spell_capitals(text: str) -> str:
    """Read abbreviations letter by letter; longer ones that are words (NASA) and shouted sentences stay words."""
    if not any(character.islower() for character in text):
        return text.lower() if len(re.findall(r"[A-Z]{2,}", text)) > 1 else _ALL_CAPITALS.sub(_spelled, text)
    return _ALL_CAPITALS.sub(_spelled, text)


def _spelled(match: re.Match[str]) -> str:
    word = match[0]
    if len(word) > 3 and is_known(word.lower()):
        return word
    return " ".join(_letter(letter) for letter in word)


def _without_accents(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(character for character in decomposed if not unicodedata.combining(character))


def _one_mark(match: re.Match[str]) -> str:
    marks = match[0]
    strongest = next(mark for mark in "?!.," if mark in marks)
    return strongest + " "
