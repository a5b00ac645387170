# ruff: noqa: RUF001 -- full-width punctuation is what these tests are about
"""Japanese text becomes the phones and pitch marks of the official front end."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sovits_core.text import phone_ids, phonemize

CASES: list[dict[str, str]] = json.loads(
    (Path(__file__).parents[1] / "data" / "japanese_phones.json").read_text("utf-8")
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['symbols']} {case['text']}")
def test_a_sentence_has_the_official_ids(case: dict[str, str]) -> None:
    assert phone_ids(phonemize(case["text"], "ja").phones, case["symbols"]) == [int(n) for n in case["ids"].split()]


@pytest.mark.parametrize(
    ("text", "phones"),
    [
        pytest.param("箸が、橋が、端が。", "h a ] sh i g a , h a [ sh i ] g a , h a [ sh i g a .", id="three accents"),
        pytest.param("学生と先生", "g a [ k u s e e t o UNK s e [ N s e ] e", id="two phrases have a border"),
        pytest.param("好きです", "s u [ k i ] d e s u", id="vowels without voice are written like others"),
        pytest.param("行く？行く！", "i [ k u ? i [ k u !", id="a question and an exclamation"),
        pytest.param("はい、いいえ・多分…", "h a ] i , i [ i e , t a ] b u N …", id="pauses"),
        pytest.param("えっと。", "e [ cl t o .", id="a doubled consonant"),
        pytest.param("おおきいコーヒー", "o [ o k i ] i UNK k o [ o h i ] i", id="long vowels"),
        pytest.param("だよ〜！", "d a [ y o o !", id="a wave makes a vowel long"),
        pytest.param("ﾊﾝｶｸのｶﾞｷﾞ", "h a ] N k a k u n o UNK g a ] g i", id="half-width kana"),
        pytest.param(
            "彼は「はい」と言った。", "k a ] r e w a UNK h a ] i UNK t o UNK i [ cl t a .", id="a quotation is a phrase"
        ),
        pytest.param("「はい」。", "h a ] i .", id="quotes at an end are silent"),
        pytest.param("東京 大阪", "t o [ o ky o o o [ o s a k a", id="a space is silent"),
        pytest.param("私へ", "w a [ t a sh i e", id="a particle is read as it sounds"),
        pytest.param("♪はい♡", "h a ] i", id="characters without a reading are dropped"),
        pytest.param(
            "何を、何で、何人、何時", "n a ] n i o , n a ] N d e , n a ] N n i N , n a ] N j i", id="nani and nan"
        ),
    ],
)
def test_a_text_is_read_with_pitch_and_pauses(text: str, phones: str) -> None:
    assert " ".join(phonemize(text, "ja").phones) == phones


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("3,000円", "三千円"),
        ("10:30", "十時三十分"),
        ("9:00", "九時"),
        ("2024/5/3", "二千二十四年五月三日"),
        ("10〜20分", "十から二十分"),
        ("$5", "五ドル"),
        ("￥100", "百円"),
        ("-5度", "マイナス五度"),
        ("03-1234-5678", "ゼロサンのイチニーサンヨンのゴーロクナナハチ"),
        ("50％", "五十パーセント"),
        ("すごい...", "すごい…"),
        ("２０２４年", "2024年"),
    ],
)
def test_numbers_are_read_as_they_are_spoken(text: str, spoken: str) -> None:
    def moras(written: str) -> list[str]:
        return [phone for phone in phonemize(written, "all_ja").phones if phone not in {"[", "]", "UNK"}]

    assert moras(text) == moras(spoken)


def test_latin_letters_are_english_within_japanese() -> None:
    found = phonemize("私はPythonが好き", "ja")
    assert [part.language for part in found.segments] == ["ja", "en", "ja"]


def test_reading_prints_nothing_and_reaches_no_network() -> None:
    program = (
        "import socket, sys; sys.modules['onnxruntime'] = None; socket.socket.connect = None\n"
        "from sovits_core.text import phonemize\n"
        "assert phonemize('何を風が運ぶ', 'ja').phones[:4] == ('n', 'a', ']', 'n')"
    )
    found = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert (found.stdout, found.stderr) == ("", "")
