"""The count of everyday text that is read right: what a row is, and how the table shows it."""

import pytest
from dev.text_tables import LANGUAGES, Row, is_right, markdown, table


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_has_three_hundred_inputs_that_differ(language: str) -> None:
    given = [row.given for row in table(language)]
    assert len(given) == len(set(given)) >= 300


@pytest.mark.parametrize("language", LANGUAGES)
def test_at_most_two_in_a_hundred_are_known_to_be_wrong(language: str) -> None:
    rows = table(language)
    assert sum(row.wrong for row in rows) <= 0.02 * len(rows)


def test_one_of_several_readings_is_enough() -> None:
    assert is_right(Row("year", "1500 words", ("one five zero zero words", "fifteen hundred words"), wrong=False), "en")
    assert not is_right(Row("year", "1500 words", ("one five zero zero words",), wrong=False), "en")


def test_a_text_that_is_refused_is_not_right() -> None:
    assert not is_right(Row("mixed", "Ask Олег.", ("Ask Oleg.",), wrong=False), "en")


def test_the_table_has_what_was_right_before_beside_what_is() -> None:
    counts = {language: {"time": (3, 4)} for language in LANGUAGES}
    before = {"en": {"time": (1, 4)}}
    shown = markdown(counts, before)
    assert "| time | 1, 3 of 4 | 3 of 4 |" in shown
    assert "| **all** | 1, 3 of 4 |" in shown
