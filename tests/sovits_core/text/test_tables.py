"""Everyday text, by kind: each row of the tables is read like the words beside it."""

import re
from pathlib import Path

import pytest

from sovits_core.text import phonemize
from sovits_core.text.chinese import mandarin
from sovits_core.text.chinese.syllables import split_syllable

TABLES = Path(__file__).parent / "tables"
# Where one spelling's pitch differs from the other's, the sounds alone are compared.
_PITCH = {"ja": frozenset(["[", "]", "UNK"])}


def rows(name: str) -> list[list[str]]:
    lines = (TABLES / f"{name}.tsv").read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines if line and not line.startswith("#")]


def written(cell: str) -> str:
    return re.sub(r"\\u([0-9a-f]{4})", lambda code: chr(int(code[1], 16)), cell).replace("\\n", "\n")


def sounds(text: str, language: str) -> str:
    return " ".join(phone for phone in phonemize(text, language).phones if phone not in _PITCH.get(language, ()))


@pytest.mark.parametrize(
    ("language", "given", "spoken"),
    [
        pytest.param(language, given, spoken, id=f"{language} {kind}: {given}")
        for language in ("en", "zh", "ja", "ko", "yue")
        for kind, given, spoken in rows(language)
    ],
)
def test_a_text_is_read_like_the_words_it_stands_for(language: str, given: str, spoken: str) -> None:
    assert sounds(written(given), language) == sounds(spoken, language)


@pytest.mark.parametrize(
    ("sentence", "reading"), [pytest.param(*row, id=" ".join(row)) for row in rows("zh_polyphones")]
)
def test_a_character_with_several_readings_is_read_as_its_context_tells(
    sentence: str, reading: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mandarin, "change_tones", lambda _word, _tag, readings: [one.tone for one in readings])
    place = sentence.index("[")
    part = phonemize(sentence.replace("[", "").replace("]", ""), "zh").segments[0]
    assert part.word2ph is not None
    start = sum(part.word2ph[:place])
    initial, final = split_syllable(reading[:-1])
    assert part.phones[start : start + 2] == (initial, final + reading[-1])


@pytest.mark.parametrize(("sentence", "phones"), [pytest.param(*row, id=row[0]) for row in rows("en_homographs")])
def test_words_that_are_spelled_alike_are_told_by_the_words_around(sentence: str, phones: str) -> None:
    word = re.search(r"\[(.*)\]", sentence)
    assert word
    found = phonemize(sentence.replace("[", "").replace("]", ""), "en").segments[0].words
    assert next(" ".join(one.phones) for one in found if one.text == word[1]) == phones
