"""Words that the dictionary lacks: their table is fit to measure with, and they are read as well as it was told."""

from itertools import chain

import pytest
from dev.unknown_words import FROM_MEMORY, SOURCED, Word, errors, words

from sovits_core.text.english.dictionary import is_known
from sovits_core.text.english.words import pronounce
from sovits_core.text.symbols import symbols

PHONES = {name.rstrip("012") for name in symbols("v1") if name.isupper() or name[:-1].isupper()}


@pytest.mark.parametrize(("name", "count"), [(SOURCED, 500), (FROM_MEMORY, 245)])
def test_a_table_has_unknown_words_once_each_with_readings_in_arpabet(name: str, count: int) -> None:
    table = words(name)
    assert [word.text for word in table if is_known(word.text) or not word.text.isalpha()] == []
    assert len({word.text for word in table}) == len(table) == count
    assert set(chain.from_iterable(chain.from_iterable(word.readings for word in table))) <= PHONES


def test_the_nearest_of_several_readings_counts_and_stress_does_not() -> None:
    word = Word("", "redis", (("R", "EH", "D", "IH", "S"), ("R", "IY", "D", "IH", "S")))
    assert errors(word, ("R", "IY1", "D", "IH0", "S")) == (0, 5)
    assert errors(word, ("R", "IY1", "D", "AH0", "S", "S")) == (2, 5)


@pytest.mark.parametrize(("name", "rate"), [(SOURCED, 0.245), (FROM_MEMORY, 0.275)])
def test_they_are_read_as_well_as_the_documentation_says(name: str, rate: float) -> None:
    counts = [errors(word, pronounce(word.text).phones) for word in words(name)]
    assert sum(wrong for wrong, _ in counts) / sum(length for _, length in counts) < rate


@pytest.mark.parametrize(
    ("word", "phones"),
    [
        ("unfriended", "AH0 N F R EH1 N D AH0 D"),
        ("microservices", "M AY2 K R OW0 S ER1 V AH0 S AH0 Z"),
        ("bombastically", "B AA0 M B AE1 S T IH0 K L IY0"),
        ("unrealised", "AH0 N R IY1 AH0 L AY2 Z D"),
        ("colourless", "K AH1 L ER0 L AH0 S"),
        ("hedgerow", "HH EH1 JH R OW2"),
        ("deplatformers", "D IY0 P L AE1 T F AO2 R M ER0 Z"),
    ],
)
def test_a_word_is_taken_apart_before_the_network_reads_it(word: str, phones: str) -> None:
    found = pronounce(word)
    assert (" ".join(found.phones), found.source.split(",")[0]) == (phones, "dictionary")


def test_long_rows_of_endings_are_not_taken_apart_for_long() -> None:
    # Pieces of 20 letters: every one of them has phones, whatever reads it.
    assert len(pronounce("un" * 2_000 + "ness" * 2_000).phones) > 1_000
