"""Everyday text, by kind: each row of the tables is read like the words beside it."""

import re

import pytest
from dev.text_tables import HELD_OUT, LANGUAGES, POLYPHONES, PUBLIC, Row, cells, is_read_so, is_right, said, table

from sovits_core.text import phonemize

# Strict: a row that is right again loses its mark.
_KNOWN = pytest.mark.xfail(reason="known to be read otherwise", strict=True)


def _param(row: Row, language: str) -> object:
    return pytest.param(language, row, id=f"{language} {row.kind}: {row.given}", marks=_KNOWN if row.wrong else ())


@pytest.mark.parametrize(
    ("language", "row"), [_param(row, language) for language in LANGUAGES for row in table(language)]
)
def test_a_text_is_read_like_the_words_it_stands_for(language: str, row: Row) -> None:
    assert is_right(row, language), said(row.given, language)


@pytest.mark.parametrize(
    ("sentence", "reading"),
    [pytest.param(*row[:2], id=" ".join(row[:2]), marks=_KNOWN if row[2:] else ()) for row in cells(POLYPHONES)],
)
def test_a_character_with_several_readings_is_read_as_its_context_tells(sentence: str, reading: str) -> None:
    assert is_read_so(sentence, reading)


@pytest.mark.parametrize(("name", "least"), [(HELD_OUT, 0.95), (PUBLIC, 0.92)])
def test_sentences_that_no_rule_was_written_for_are_read_right_too(name: str, least: float) -> None:
    rows = cells(name)
    # A count, and not the rows: they stay unseen.
    assert sum(is_read_so(*row) for row in rows) >= least * len(rows)


@pytest.mark.parametrize(("sentence", "phones"), [pytest.param(*row, id=row[0]) for row in cells("en_homographs")])
def test_words_that_are_spelled_alike_are_told_by_the_words_around(sentence: str, phones: str) -> None:
    word = re.search(r"\[(.*)\]", sentence)
    assert word
    found = phonemize(sentence.replace("[", "").replace("]", ""), "en").segments[0].words
    assert next(" ".join(one.phones) for one in found if one.text == word[1]) == phones
