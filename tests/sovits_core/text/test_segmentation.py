# ruff: noqa: RUF001 -- full-width punctuation is what these tests are about
"""A mixed text is parted by language the same way every time, and nothing of it is lost."""

from itertools import pairwise

import pytest

from sovits_core.errors import TextRejected
from sovits_core.text import MODES, phonemize
from sovits_core.text.segmentation import segments


@pytest.mark.parametrize(
    ("mode", "text", "expected"),
    [
        pytest.param("zh", "我喜欢Python。", "zh 我喜欢|en Python。", id="Latin letters are English"),
        pytest.param(
            "zh",
            "他说ありがとう和고마워",
            "zh 他说|ja ありがとう|zh 和|ko 고마워",
            id="kana and Hangul are not Chinese",
        ),
        pytest.param("ja", "東京と北京", "ja 東京と北京", id="Han characters are the user's language: ja"),
        pytest.param("yue", "東京と", "yue 東京|ja と", id="Han characters are the user's language: yue"),
        pytest.param("ko", "漢字를 읽다", "ko 漢字를 읽다", id="Han characters are the user's language: ko"),
        pytest.param("en", "hello 世界 3", "en hello 世界 3", id="English is not parted"),
        pytest.param("all_ja", "中文と한국 text", "ja 中文と한국 |en text", id="everything but English: ja"),
        pytest.param("all_zh", "こんにちは世界 hello", "zh こんにちは世界 |en hello", id="everything but English: zh"),
        pytest.param("all_ko", "漢字 가", "ko 漢字 가", id="everything but English: ko"),
        pytest.param("all_yue", "你好", "yue 你好", id="everything but English: yue"),
        pytest.param(
            "auto",
            "今天天气很好。今日はいい天気。",
            "zh 今天天气很好。|ja 今日はいい天気。",
            id="sentences decide apart",
        ),
        pytest.param("auto", "東京、大阪に行く。", "ja 東京、大阪に行く。", id="kana in the sentence make it Japanese"),
        pytest.param("auto", "他说「ありがとう」很好", "zh 他说|ja 「ありがとう」|zh 很好", id="a quotation does not"),
        pytest.param("auto", "桜", "ja 桜", id="a character made in Japan"),
        pytest.param("auto", "中国", "zh 中国", id="Han characters alone are Chinese"),
        pytest.param("auto_yue", "佢哋食咗飯未呀？", "yue 佢哋食咗飯未呀？", id="or Cantonese"),
        pytest.param(
            "auto_yue", "日本の本 OK 你", "ja 日本の本 |en OK |yue 你", id="Cantonese beside Japanese and English"
        ),
        pytest.param(
            "auto", "3개 three3 第3章 3つ", "ko 3개 |en three3 |ja 第3章 3つ", id="digits join their neighbour"
        ),
        pytest.param(
            "auto", "用Python3写2024年", "zh 用|en Python|zh 3写2024年", id="the number of a name is read like the text"
        ),
        pytest.param("zh", "我有5kg苹果 and 3 km", "zh 我有5kg苹果 |en and 3 km", id="units join their number"),
        pytest.param("ja", "123", "ja 123", id="digits alone are the user's language"),
        pytest.param("auto", "123!", "zh 123!", id="digits alone are Chinese"),
        pytest.param("ja", "彼は(OK)です", "ja 彼は|en (OK)|ja です", id="brackets stay with what they enclose"),
        pytest.param("ko", "é café 가", "en é café |ko 가", id="accents are Latin letters"),
        pytest.param("auto", "!?", "zh !?", id="marks alone"),
        pytest.param("ja", "", "", id="nothing"),
    ],
)
def test_a_text_is_parted(mode: str, text: str, expected: str) -> None:
    assert "|".join(f"{language} {part}" for language, part in segments(text, mode)) == expected


@pytest.mark.parametrize("mode", MODES)
def test_nothing_is_lost_and_neighbours_differ(mode: str) -> None:
    text = "  “Hi” 你好,3.5% こんにちは…안녕 42 (x) \U0001f600\n桜A1 ½ שלום. " * 20
    parts = segments(text, mode)
    assert "".join(part.text for part in parts) == text
    assert all(first.language != second.language for first, second in pairwise(parts))


@pytest.mark.parametrize(("text", "language"), [("안녕하세요", "ko"), ("你好世界", "yue")])
def test_a_language_that_v1_does_not_have_is_refused_instead_of_spoken_as_unknown(text: str, language: str) -> None:
    assert phonemize(text, language, "v2").phones
    with pytest.raises(TextRejected, match="which the symbols of v1 do not have: use a base of v2 or later"):
        phonemize(text, language, "v1")


def test_a_v1_base_gets_the_erhua_it_was_trained_with() -> None:
    assert phonemize("我在这儿。", "zh", "v1").phones[6:8] == ("EE", "er2")
    assert phonemize("我在这儿。", "zh", "v2").phones[6:8] == ("EE", "er4")
