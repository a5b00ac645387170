"""Letters that a language is not written with are found, and those that it is are not."""

import pytest

from sovits_core.text import LANGUAGES
from sovits_core.text.scripts import SCRIPTS, foreign_letters


def test_every_language_has_its_scripts() -> None:
    assert SCRIPTS.keys() == LANGUAGES.keys()


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Naïve café, 5 o'clock — \U0001f600 №?", "en"),
        ("佐々木さんは\uff21\uff29とﾃﾚﾋﾞが好き。ラーメン、〆切", "ja"),
        ("안녕하세요 漢字 AI", "ko"),
        ("我哋用 iPhone \uff11\uff12", "yue"),
        ("你好 \uff21\uff22\uff23 abc\u3007", "zh"),
    ],
)
def test_what_the_language_is_written_with(text: str, language: str) -> None:
    assert foreign_letters(text, language) == ""


@pytest.mark.parametrize(
    ("text", "language", "letters"),
    [
        ("Please visit 北京 tomorrow, 北.", "en", "京北"),
        ("Ask Олег.", "en", "Оегл"),
        ("こんにちは Олег", "ja", "Оегл"),
        ("שלום 你好", "zh", "וםלש"),
        ("ありがとう", "ko", "ありがとう"),
    ],
)
def test_what_it_is_not_written_with(text: str, language: str, letters: str) -> None:
    assert foreign_letters(text, language) == "".join(sorted(letters))
