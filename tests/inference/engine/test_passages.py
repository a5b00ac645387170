"""Text is read as people lay it out: paragraphs, lists, headings and code, without Markdown's signs."""

import pytest
from tests.support.processor_time import within

from voice_inference.engine.passages import (
    CLAUSE_PAUSE,
    PARAGRAPH_PAUSE,
    SENTENCE_PAUSE,
    paragraphs,
    passages,
)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        pytest.param("One line\nof a mail\n\nAnother.", ["One line of a mail", "Another."], id="a hard-wrapped mail"),
        pytest.param("One\r\nline.\r\n\r\nTwo.", ["One line.", "Two."], id="line ends of Windows"),
        pytest.param("你好、\n世界。", ["你好、世界。"], id="no space where Chinese is written without"),
        pytest.param("안녕하세요\n여러분", ["안녕하세요 여러분"], id="Korean has spaces"),
        pytest.param("# A title\nThe text.", ["A title", "The text."], id="a heading"),
        pytest.param("A title\n=====\nThe text.", ["A title", "The text."], id="an underlined heading"),
        pytest.param("Buy:\n- milk\n- *two* eggs", ["Buy:", "milk", "two eggs"], id="a list"),
        pytest.param("3. Wash it\n4. Dry it", ["3, Wash it", "4, Dry it"], id="a numbered list keeps its numbers"),
        pytest.param("1945. The war ended.", ["1945, The war ended."], id="a year is not lost"),
        pytest.param("It is **very** _good_, `x = 1`.", ["It is very good, x = 1."], id="emphasis and code"),
        pytest.param("2*3*4 is 24", ["2*3*4 is 24"], id="arithmetic"),
        pytest.param("See [the page](https://example.com/a_b).", ["See the page."], id="a link is its words"),
        pytest.param("[Alice]: I am here", ["[Alice]: I am here"], id="a speaker in brackets is no link"),
        pytest.param("![a red car](car.png)", ["a red car"], id="an image is its description"),
        pytest.param("```py\nprint(1)\nprint(2)\n```", ["print(1)", "print(2)"], id="code is read line by line"),
        pytest.param("| a | b |\n|---|---|\n| 1 | 2 |", ["a, b", "1, 2"], id="a table is read row by row"),
        pytest.param("> Quoted\n> text", ["Quoted text"], id="a quotation"),
        pytest.param("    Indented\n    text", ["Indented text"], id="indented text is text"),
        pytest.param("Fish &amp; chips, 3 < 4 > 2, <b>bold</b>", ["Fish & chips, 3 < 4 > 2, <b>bold</b>"], id="signs"),
        pytest.param("snake_case and a*b", ["snake_case and a*b"], id="signs within words"),
        pytest.param("---\n\n***", [], id="lines alone"),
    ],
)
def test_paragraphs(text: str, read: list[str]) -> None:
    assert paragraphs(text) == read


def test_pauses_follow_the_marks() -> None:
    long = "word " * 25 + "and so on, " + "word " * 25
    found = passages(f"One? Two.\n\n{long.strip()}.\n\nEnd")
    assert [passage.pause for passage in found] == [
        SENTENCE_PAUSE,
        PARAGRAPH_PAUSE,
        CLAUSE_PAUSE,
        PARAGRAPH_PAUSE,
        PARAGRAPH_PAUSE,
    ]


@pytest.mark.parametrize(
    "unit", ["[", "*a **a ", ">", "`", "- ", "a](", "![[]()", "_a__b", "\\", "<", "&", "|-|\n", "1. ", ">- ", "[a]("]
)
def test_hostile_markdown_is_read_at_once(unit: str) -> None:
    text = (unit * 4096)[:4096]
    within(1, lambda: paragraphs(text))
