"""Error rates: what is said is compared, without case, punctuation, spaces and spelling of numbers."""

import pytest

from voice_trainer.recognition.error_rates import compare_texts, edit_distance, plain


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don\u2019t stop, Mister O'Neill!", "don't stop mister o'neill"),
        ("  'Quoted'  well-known_words ", "quoted well known words"),
        ("今天\uff0c天气很好。", "今天 天气很好"),
        ("\uff21\uff22\uff23\u3000\uff11\uff12", "abc 12"),
        ("…", ""),
    ],
)
def test_only_letters_and_digits_are_compared(text: str, expected: str) -> None:
    assert plain(text) == expected


@pytest.mark.parametrize(
    ("expected", "found", "distance"),
    [("", "", 0), ("abc", "", 3), ("", "abc", 3), ("kitten", "sitting", 3), ("abc", "abc", 0), ("ab", "ba", 2)],
)
def test_edit_distance(expected: str, found: str, distance: int) -> None:
    assert edit_distance(expected, found) == distance


def test_words_and_characters_are_counted_apart() -> None:
    errors = compare_texts("The cat sat.", "the cats at", "en")
    assert (errors.wrong_words, errors.words) == (2, 3)
    assert (errors.wrong_characters, errors.characters) == (0, 9), "spaces are no characters"


@pytest.mark.parametrize(
    ("language", "text", "recognised"),
    [
        pytest.param("en", "in fourteen fifty-five", "In 1455.", id="a number in digits"),
        pytest.param("zh", "今天天气很好。", "今天天氣很好", id="traditional characters"),
        pytest.param("zh", "他来了。", "她来了", id="characters that sound alike"),
        pytest.param("ja", "桜がきれいです。", "サクラが綺麗です", id="kana for kanji"),
        pytest.param("ko", "안녕하세요, 여러분!", "안녕하세요 여러분", id="punctuation"),
    ],
)
def test_another_spelling_of_the_same_sound_is_hardly_an_error(language: str, text: str, recognised: str) -> None:
    errors = compare_texts(text, recognised, language)
    assert errors.character_rate < 0.06, "kana have another pitch accent"
    assert errors.characters > 5


@pytest.mark.parametrize(
    ("language", "text", "recognised"),
    [
        pytest.param("zh", "今天天气很好。", "我们去吃饭吧", id="Mandarin"),
        pytest.param("ja", "桜がきれいです。", "電車が遅れました", id="Japanese"),
        pytest.param("ko", "안녕하세요.", "비가 옵니다", id="Korean"),
        pytest.param("en", "Good morning.", "", id="nothing is recognised"),
        pytest.param("en", "Good morning.", "今天天气很好", id="another script"),
    ],
)
def test_another_text_is_mostly_wrong(language: str, text: str, recognised: str) -> None:
    assert compare_texts(text, recognised, language).character_rate > 0.6
