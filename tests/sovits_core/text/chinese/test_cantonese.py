"""Cantonese text becomes the official phones, and no text makes it fail."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.processor_time import within

from sovits_core.errors import TextRejected
from sovits_core.text import phone_ids, phonemize
from sovits_core.text.chinese import cantonese
from sovits_core.text.readings import Context
from sovits_core.text.spans import SpannedText
from sovits_core.text.symbols import symbols

OFFICIAL = json.loads((Path(__file__).parents[1] / "data" / "cantonese_phones.json").read_text(encoding="utf-8"))


def normalize(text: str) -> str:
    return cantonese.normalize(SpannedText(text)).text


def phones_by_character(normalized: str) -> tuple[list[str], list[int]]:
    words = cantonese.read(normalized, Context())
    return [phone for word in words for phone in word.phones], [count for word in words for count in word.counts]


def phones(normalized: str) -> list[str]:
    return phones_by_character(normalized)[0]


@pytest.mark.parametrize("sentence", OFFICIAL, ids=lambda sentence: sentence["text"])
def test_a_sentence_is_read_as_the_official_front_end_reads_it(sentence: dict[str, object]) -> None:
    normalized = normalize(str(sentence["text"]))
    read, word2ph = phones_by_character(normalized)
    assert normalized == sentence["normalized"]
    assert " ".join(read) == sentence["phones"]
    assert phone_ids(read) == sentence["ids"]
    assert word2ph == sentence["word2ph"]


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        pytest.param("廣", "Ygw Yong2", id="an initial of two letters"),
        pytest.param("我", "Yng Yo5", id="a nasal initial"),
        pytest.param("唔", "Ym Ym4", id="a syllable that is m"),
        pytest.param("五", "Yng Yg5", id="a syllable that is ng"),
        pytest.param("呀", "Yaa Ya3", id="a vowel alone"),
        pytest.param("愛", "Yoi Yi3", id="a diphthong alone"),
        pytest.param("安", "Yon Yn1", id="a vowel with a nasal alone"),
        pytest.param("鴨", "Yaa Yp3", id="a vowel with a stop alone"),
        pytest.param("食", "Ys Yik6", id="a final stop"),
        pytest.param("月", "Yj Yyut6", id="a rounded vowel"),
        pytest.param("行街同銀行", "Yh Yaang4 Yg Yaai1 Yt Yung4 Yng Yan4 Yh Yong4", id="a reading by the word"),
        pytest.param("甕", "UNK Yung3", id="a vowel that the table has no initial for"),
        pytest.param("吋", "Yc Yyun3", id="a character of two syllables is spoken as the last"),
        pytest.param("你乄", "Yn Yei5 UNK UNK", id="a character that no dictionary reads"),
    ],
)
def test_a_syllable_is_an_initial_and_a_final(text: str, spoken: str) -> None:
    assert " ".join(phones(text)) == spoken


def test_numbers_are_said_as_in_mandarin_and_characters_are_simplified() -> None:
    assert normalize("2023年5月1號,買咗3本書") == "二零二三年五月一号,买咗三本书"


@pytest.mark.parametrize(
    "text",
    [
        "你" * 4096,
        "1-" * 2048,
        "\ud800" * 4096,
        "".join(map(chr, range(0x4E00, 0x5E00))),
        "".join(chr(33 + index * 7919 % (0xD800 - 33)) for index in range(4096)),
        "",
    ],
    ids=["one character", "a range", "lone surrogates", "many characters", "all kinds of characters", "nothing"],
)
def test_whatever_the_text_it_is_read_within_seconds(text: str) -> None:
    phones("你好")  # what is loaded once is not counted
    normalized = normalize(text)
    read, word2ph = within(2, lambda: phones_by_character(normalize(text)))
    assert set(read) <= set(symbols("v2"))
    assert len(word2ph) == len(normalized)
    assert sum(word2ph) == len(read)


def test_a_text_with_nothing_to_speak_is_refused() -> None:
    with pytest.raises(TextRejected, match="nothing to speak"):
        phonemize("。。。", "yue")


def test_a_missing_package_names_the_extra() -> None:
    program = """
import sys
from sovits_core.errors import MissingExtra
from sovits_core.text import phonemize
assert "ToJyutping" not in sys.modules
sys.modules["ToJyutping"] = None
try:
    phonemize("你好", "yue")
except MissingExtra as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert 'pip install "sovits-core[yue]"' in done.stdout


def test_one_is_called_out_as_in_cantonese_and_a_youngest_child_stays_one() -> None:
    assert normalize("房1801") == "房一八零一"
    assert normalize("老幺打1823") == "老幺打一八二三"
