"""Text that is still being written: its sentences, however it is cut up."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voice_inference.engine.typed_text import TypedText


def sentences(parts: list[str]) -> list[str]:
    text = TypedText()
    return [sentence for part in parts for sentence in text.add(part)] + text.end()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Dr. Smith owes $3.14 today! Ok", ["Dr. Smith owes $3.14 today!", "Ok"]),
        ("A wrapped\nline. Another", ["A wrapped line.", "Another"]),
        ("你好。今天\n天气不错。走吧", ["你好。", "今天天气不错。", "走吧"]),
        ("- one item\n- two items\n\nEnd", ["- one item", "- two items", "End"]),
        ("1. first\n2. second", ["1. first", "2. second"]),
        ("# Title\n\nText", ["# Title", "Text"]),
        ("**Really. Truly.** Yes.", ["**Really. Truly.** Yes."]),
        ("Windows\r\nlines.\r\n\r\nEnd", ["Windows lines.", "End"]),
        (" \n\n ", []),
    ],
)
def test_sentences_do_not_depend_on_how_the_text_arrives(text: str, expected: list[str]) -> None:
    for size in (1, 2, 5, len(text)):
        assert sentences([text[start : start + size] for start in range(0, len(text), size)]) == expected, size


def test_a_sentence_is_whole_when_the_next_one_begins() -> None:
    text = TypedText()
    assert text.add("One.") == []
    assert text.add(" Two") == ["One."]
    assert text.end() == ["Two"]
    assert text.end() == []


def test_signs_without_their_pair_hold_up_no_more_than_two_sentences() -> None:
    found = sentences(["**" + "Some words of a sentence. " * 100])
    assert len(found) > 5
    assert max(map(len, found)) < 500


@given(st.lists(st.text(alphabet="ab. !\n-*`你。1)", max_size=12), max_size=12))
@settings(deadline=None)
def test_nothing_is_lost(parts: list[str]) -> None:
    def letters(text: str) -> str:
        return "".join(text.split())

    assert letters("".join(sentences(parts))) == letters("".join(parts))
