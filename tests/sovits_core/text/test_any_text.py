"""Any text at all: it gets phones or one error, in bounded time, and what nobody sees changes nothing."""

import unicodedata

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.processor_time import within

from sovits_core.errors import TextRejected, UnreadableLetters
from sovits_core.text import MAX_CHARACTERS, phonemize
from sovits_core.text.invisible import visible
from sovits_core.text.scripts import SILENT
from sovits_core.text.symbols import symbols

INVISIBLE = "\u00ad\u200b\u200c\u200d\u200e\u200f\u202a\u202c\u2060\u2066\u2069\ufeff\ufe0f\u034f\U000e0101\ue000"
LANGUAGES = ("en", "zh", "ja", "ko", "yue")
# Text as people have it, and characters of every plane.
_WORDS = st.sampled_from(
    [
        "Hello",
        "5G",
        "$3.50",
        "10:30",
        "12/3/2024",
        "café",
        "你好",
        "3本",
        "こんにちは",
        "안녕",
        "20명",
        "佢哋",
        "№5",
        "Олег",
        "½",
        "e\u0301",
    ]
)
_TEXT = st.lists(_WORDS | st.text(max_size=8), max_size=12).map(" ".join)
_SETTINGS = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)


@pytest.fixture(autouse=True, scope="module")
def _dictionaries() -> None:
    for language in LANGUAGES[1:]:  # what is loaded once is not counted
        phonemize("a 中 あ 가", language)


def outcome(text: str, language: str) -> object:
    try:
        return phonemize(text, language).phones
    except TextRejected as error:
        return type(error)


@pytest.mark.parametrize("language", LANGUAGES)
@_SETTINGS
@given(text=_TEXT)
def test_it_has_phones_of_the_table_or_one_error(language: str, text: str) -> None:
    found = within(1, lambda: outcome(text, language))
    assert isinstance(found, type) or set(found) <= set(symbols("v2"))  # type: ignore[arg-type]


@pytest.mark.parametrize("language", LANGUAGES)
@_SETTINGS
@given(text=_TEXT, places=st.lists(st.tuples(st.integers(0, 60), st.sampled_from(INVISIBLE)), max_size=6))
def test_invisible_characters_change_no_phone(language: str, text: str, places: list[tuple[int, str]]) -> None:
    plain = visible(text).text
    strewn = plain
    for place, character in places:
        strewn = strewn[:place] + character + strewn[place:]
    assert outcome(strewn, language) == outcome(plain, language)


@_SETTINGS
@given(text=st.text(max_size=60))
def test_what_is_visible_is_composed_and_knows_where_it_stood(text: str) -> None:
    found = visible(text)
    assert unicodedata.is_normalized("NFC", found.text)
    assert len(found.origins) == len(found.text)
    assert all(0 <= origin.start <= origin.end <= len(text) for origin in found.origins)
    starts = [origin.start for origin in found.origins]
    assert starts == sorted(starts)


@pytest.mark.parametrize(
    ("text", "language", "letters"),
    [
        pytest.param("Ask Олег.", "en", "Оегл", id="Cyrillic in English"),
        pytest.param("Please visit 北京 tomorrow.", "en", "京北", id="Han in English"),
        pytest.param("你好 Олег", "zh", "Оегл", id="Cyrillic in Mandarin"),
        pytest.param("שלום 안녕", "ko", "וםלש", id="Hebrew in Korean"),
        pytest.param("한국と日本", "all_ja", "국한", id="Hangul where all is Japanese"),
        pytest.param("东京에 간다", "ko", "东", id="a simplified character in Korean"),
        pytest.param("预です", "ja", "预", id="a simplified character in Japanese"),
        pytest.param("我说\U00020bb7", "zh", "\U00020bb7", id="a character that no dictionary reads"),
    ],
)
def test_a_word_that_nothing_reads_is_refused_by_its_letters(text: str, language: str, letters: str) -> None:
    with pytest.raises(UnreadableLetters, match="which no word of language") as refused:
        phonemize(text, language)
    assert set(letters) == set(refused.value.letters)


# A text of each language, and a place in it for a word.
FRAMES = {
    "en": ("we ask ", " now"),
    "zh": ("我们说 ", " 吧"),
    "ja": ("これは ", " です"),
    "ko": ("우리는 ", " 간다"),
    "yue": ("我哋講 ", " 啦"),
}
# Letters by Unicode's account that are no words: signs of measures and lists, accents on their own, a dash of kana.
NO_WORDS = frozenset("ªºℇℓ々〆ーｰㆍℹ\uffa0" + "".join(map(chr, (*range(0x2B9, 0x2C0), *range(0x2C6, 0x2D2)))))


def sounds(text: str, language: str) -> list[str] | None:
    try:
        return [phone for phone in phonemize(text, language).phones if phone[0].isalpha() and phone not in SILENT]
    except UnreadableLetters:
        return None


def letters_of_every_script() -> list[str]:
    """Two letters, from the middle and the end, of each script that Unicode's names tell."""
    scripts: dict[str, list[str]] = {}
    for letter in filter(str.isalpha, map(chr, range(0x80, 0x323B0))):
        scripts.setdefault(unicodedata.name(letter, "?").split(" ")[0], []).append(letter)
    return sorted({letter for found in scripts.values() for letter in (found[len(found) // 2], found[-1])} - NO_WORDS)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_letter_of_any_script_is_lost(language: str) -> None:
    before, after = FRAMES[language]
    without = sounds(before + after, language)
    assert [
        letter for letter in letters_of_every_script() if sounds(before + letter + after, language) == without
    ] == []


@pytest.mark.parametrize("language", LANGUAGES)
@_SETTINGS
@given(letter=st.characters(categories=["Lu", "Ll", "Lt", "Lm", "Lo"], exclude_characters=sorted(NO_WORDS)))
def test_no_letter_at_all_is_lost(language: str, letter: str) -> None:
    before, after = FRAMES[language]
    assert sounds(before + letter + after, language) != sounds(before + after, language)


@pytest.mark.parametrize(
    ("text", "language", "normalized"),
    [
        ("三國志를 읽었다", "ko", "삼국지를 읽었다"),
        ("老人과 女子大學", "ko", "노인과 여자대학"),
        ("李舜臣 장군, 金九 선생", "ko", "이순신 장군, 김구 선생"),
        ("比率, 合格率, 百分率", "ko", "비율, 합격률, 백분율"),
        ("남ㆍ녀", "ko", "남ㆍ녀"),
        ("Λόγος", "en", "lambda omicron gamma omicron sigma"),
        ("\u037a", "en", "iota"),
    ],
)
def test_what_was_lost_once(text: str, language: str, normalized: str) -> None:
    assert phonemize(text, language).normalized == normalized


@pytest.mark.parametrize(
    ("text", "languages"),
    [("他说ありがとう", ["zh", "ja"]), ("안녕 Monday", ["ko", "en"]), ("今日は안녕", ["ja", "ko"])],
)
def test_a_word_in_another_script_is_read_by_its_reader(text: str, languages: list[str]) -> None:
    assert [part.language for part in phonemize(text, languages[0]).segments] == languages


def test_every_character_of_the_spoken_text_knows_what_it_was_written_for() -> None:
    text = "On 12/25/2024 we paid $3.50."
    part = phonemize(text, "en").segments[0]
    assert len(part.origins) == len(part.normalized)
    found = {
        text[origin.start : origin.end]: origin.rule
        for word in part.words
        for origin in [part.origins[word.start]]
        if word.text in {"December", "three"}
    }
    assert found == {"12/25/2024": "date", "$3.50": "money"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_longest_text_of_numbers_is_read_in_time(language: str) -> None:
    within(3, lambda: outcome("1-2/3:4.5,6 " * (MAX_CHARACTERS // 12), language))
