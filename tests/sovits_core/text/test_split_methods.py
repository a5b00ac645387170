# ruff: noqa: RUF001 -- full-width punctuation is what these tests are about
"""The official split methods, without breaking what belongs together."""

import pytest

from sovits_core.errors import TextRejected
from sovits_core.text.split_methods import SPLIT_METHODS, split_text

CHINESE = "今天天气很好，我们去公园。花都开了！你看见了吗？看见了；很漂亮。"


@pytest.mark.parametrize(
    ("method", "text", "language", "pieces"),
    [
        pytest.param("cut0", CHINESE, "zh", [CHINESE], id="cut0 does not cut"),
        pytest.param(
            "cut1",
            CHINESE,
            "zh",
            ["今天天气很好，我们去公园。花都开了！你看见了吗？", "看见了；很漂亮。"],
            id="cut1 takes four clauses",
        ),
        pytest.param(
            "cut2",
            "一二三四五六七八九，" * 12,
            "zh",
            ["一二三四五六七八九，" * 6, "一二三四五六七八九，" * 6],
            id="cut2 takes 50 characters",
        ),
        pytest.param(
            "cut2", "一二三四五六七八九，" * 8, "zh", ["一二三四五六七八九，" * 8], id="cut2 joins a short rest"
        ),
        pytest.param(
            "cut3",
            CHINESE,
            "zh",
            ["今天天气很好，我们去公园。", "花都开了！你看见了吗？看见了；很漂亮。"],
            id="cut3 cuts at 。",
        ),
        pytest.param(
            "cut4",
            "One is here, now. Two is 3.5 there. ",
            "en",
            ["One is here, now.", "Two is 3.5 there."],
            id="cut4 cuts at full stops",
        ),
        pytest.param(
            "cut5",
            CHINESE,
            "zh",
            ["今天天气很好，", "我们去公园。", "花都开了！", "你看见了吗？", "看见了；很漂亮。"],
            id="cut5 cuts at every mark",
        ),
        pytest.param(
            "cut5",
            "It was 3,000.50 at 10:30, really?! Yes indeed.",
            "en",
            ["It was 3,000.50 at 10:30,", "really?!", "Yes indeed."],
            id="numbers and rows of marks stay whole",
        ),
        pytest.param(
            "cut5",
            "Mr. Smith met Dr. Jones, e.g. at example.com.",
            "en",
            ["Mr. Smith met Dr. Jones,", "e.g. at example.com."],
            id="abbreviations stay whole",
        ),
        pytest.param(
            "cut4", "Mr. Smith left. J. K. came.", "en", ["Mr. Smith left.", "J. K. came."], id="initials stay whole"
        ),
        pytest.param("cut5", "“Stop it!” he said.", "en", ["“Stop it!”", "he said."], id="quotes close their clause"),
        pytest.param(
            "cut0",
            "First line\n\nSecond line",
            "en",
            ["First line.", "Second line."],
            id="lines are pieces and get a full stop",
        ),
        pytest.param(
            "cut0",
            "第一行文字\n第二行文字",
            "ja",
            ["第一行文字。", "第二行文字。"],
            id="the full stop is the language's",
        ),
        pytest.param(
            "cut5",
            "是的，不是，也许，大概吧。",
            "zh",
            ["。是的，不是，", "也许，大概吧。"],
            id="short pieces are joined",
        ),
        pytest.param("cut5", "Some words, no", "en", ["Some words, no."], id="a short rest joins the piece before"),
        pytest.param("cut0", "嗨，你好吗", "zh", ["。嗨，你好吗。"], id="a short beginning gets a pause"),
        pytest.param("cut0", "…嗨，你好吗", "zh", ["…嗨，你好吗。"], id="but not a second one"),
        pytest.param(
            "cut5",
            "你好世界。\n——\n。！？\n再见世界。",
            "zh",
            ["你好世界。", "再见世界。"],
            id="marks alone are dropped",
        ),
        pytest.param("cut5", "?!…", "en", [], id="nothing is left of marks"),
    ],
)
def test_a_text_is_cut(method: str, text: str, language: str, pieces: list[str]) -> None:
    assert split_text(text, method, language) == pieces


@pytest.mark.parametrize("method", SPLIT_METHODS)
def test_no_piece_is_longer_than_the_encoder_takes_and_no_word_is_lost(method: str) -> None:
    text = "很长" * 600 + "。" + "word " * 300 + "\n" + "x" * 1200
    pieces = split_text(text, method, "zh")
    assert max(len(piece) for piece in pieces) <= 511
    letters = [character for character in text if character.isalnum()]
    assert [character for piece in pieces for character in piece if character.isalnum()] == letters


def test_an_unknown_method_is_refused_by_name() -> None:
    with pytest.raises(TextRejected, match="split method 'cut9' is not known; use one of: cut0, cut1"):
        split_text("text", "cut9", "en")
