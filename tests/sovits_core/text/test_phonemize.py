"""English text becomes the phones of the official front end, and no text makes it fail."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.processor_time import within

from sovits_core.errors import TextModelRejected, TextRejected
from sovits_core.text import MAX_CHARACTERS, phone_ids, phonemize, phonemize_for_synthesis, split_sentences
from sovits_core.text.english.network import FILE, open_network, wheel_file
from sovits_core.text.symbols import symbols

CASES: list[dict[str, str]] = json.loads((Path(__file__).parent / "data" / "english_phones.json").read_text("utf-8"))
OFFICIAL = {case["text"]: case["phones"] for case in CASES}
BETTER = {
    # The official front end says "minus" for a dash between words.
    "Cats, dogs, and birds - all of them - were silent.": "K AE1 T S , D AA1 G Z , AH0 N D B ER1 D Z , "
    "AO1 L AH1 V DH EH1 M , W ER1 S AY1 L AH0 N T .",
    # It keeps the full stop of a title, which makes a pause after "Mister".
    "Mr. and Mrs. Jones own 4 cars.": "M IH1 S T ER0 AH0 N D M IH1 S IH0 Z JH OW1 N Z OW1 N F AO1 R K AA1 R Z .",
    # It spells every word in capitals, NASA too, which the dictionary can read.
    "NASA launched 3 rockets on May 5th, 2021.": "N AE1 S AH0 L AO1 N CH T TH R IY1 R AA1 K AH0 T S AA1 N "
    "M EY1 F IH1 F TH , T W EH1 N T IY0 T W EH1 N T IY0 W AO2 N .",
    # Its network guesses this word; ours is the dictionary's "xylophone" with an ending.
    "Xylophonists zigzagged quizzically.": "Z AY1 L AH0 F OW2 N AH0 S T S Z IH1 G Z AE0 G D K W IH1 Z IH0 K L IY0 .",
}


@pytest.mark.parametrize("text", OFFICIAL)
def test_a_sentence_is_read_as_the_official_front_end_reads_it_or_better(text: str) -> None:
    assert " ".join(phonemize(text, "en").phones) == BETTER.get(text, OFFICIAL[text])


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['symbols']} {case['text']}")
def test_the_ids_are_the_official_ones_in_both_tables(case: dict[str, str]) -> None:
    ids = phone_ids(phonemize(case["text"], "en").phones, case["symbols"])
    better = BETTER.get(case["text"])
    expected = phone_ids(better.split(), case["symbols"]) if better else [int(number) for number in case["ids"].split()]
    assert ids == expected


def test_four_fifths_of_the_official_sentences_agree_exactly() -> None:
    agreeing = [text for text in OFFICIAL if " ".join(phonemize(text, "en").phones) == OFFICIAL[text]]
    assert len(agreeing) / len(OFFICIAL) == pytest.approx(15 / 19)


@pytest.mark.parametrize(
    ("text", "normalized"),
    [
        ("It was 1999.", "It was nineteen ninety-nine."),
        ("In 2005, 2000 and 2017", "In two thousand five, two thousand and twenty seventeen"),
        ("£1 and $0.05", "one pound and five cents"),
        ("$1.5 million", "one point five million dollars"),
        ("at 3:05 p.m. or 9:00", "at three oh five P M or nine o'clock"),
        ("50% & more", "fifty percent and more"),
        ("Dr. Smith (Ann)", "Doctor Smith, Ann"),
        ("the U.S.A. and the UK", "the U S Ay and the U K"),
        ("Room B12", "Room B twelve"),
        ("pages 3-5", "pages three to five"),
        ("HELLO THERE", "hello there"),
        ("5kg in 3 km", "five kilograms in three kilometers"),
        ("naïve café", "naive cafe"),
        ("wait... what?!", "wait. what?"),
        ("007", "zero zero seven"),
    ],
)
def test_numbers_and_signs_are_spelled_out(text: str, normalized: str) -> None:
    assert phonemize(text, "en").normalized == normalized


@pytest.mark.parametrize(
    ("word", "phones"),
    [
        ("seashell's", "S IY1 SH EH2 L Z"),
        ("unpainted", "AH0 N P EY1 N T IH0 D"),
        ("bookcats", "B UH1 K K AE2 T S"),
        ("bzx", "B IY1 Z IY1 EH1 K S"),
    ],
)
def test_an_unknown_word_is_derived_from_known_ones(word: str, phones: str) -> None:
    assert " ".join(phonemize(word, "en").phones) == phones


@pytest.mark.parametrize(
    "text",
    [
        "zorblax",
        "frobnicatrix",
        "q" * 3000,
        "x'y-z'",
        "a-b-c-d",
        "1" * 4000,
        "☃ hello ☃",
        "e\u0301lite",
        "'''a'''",
        "A" * 50,
        "ß Straße",
    ],
)
def test_whatever_has_a_letter_or_a_digit_can_be_spoken(text: str) -> None:
    phones = phonemize(text, "en").phones
    assert set(phones) <= set(symbols("v2"))
    assert 86 not in phone_ids(phones)


@pytest.mark.parametrize(
    ("word", "phones"),
    [
        ("xylophonists", "Z AY1 L AH0 F AH0 N AH0 S T S"),  # of the official sentences
        ("activationist", "AE2 K T IH0 V EY1 SH AH0 N IH0 S T"),  # of the network's own description
        ("zelensky", "Z IH0 L EH1 N S K IY0"),
        ("grafana", "G R AH0 F AA1 N AH0"),
    ],
)
def test_the_network_says_what_the_official_code_says(word: str, phones: str) -> None:
    assert " ".join(open_network().read(word)) == phones


def test_another_file_of_weights_is_refused_by_its_digest() -> None:
    with pytest.raises(TextModelRejected, match=r"g2p_en/checkpoint20\.npz has the SHA-256 b8af35e4\w+, expected 00"):
        wheel_file(FILE, "00")


def test_very_short_text_starts_with_a_pause() -> None:
    assert phonemize("Hi", "en").phones == (",", "HH", "AY1")


@pytest.mark.parametrize(
    ("text", "language", "message"),
    [
        pytest.param("hello", "tlh", "language 'tlh' is not offered; use one of: en, ja, ko", id="an unknown language"),
        pytest.param("  \n", "en", "the text is empty", id="an empty text"),
        pytest.param("?!…", "en", "there is nothing to speak", id="a text of marks alone"),
        pytest.param(
            "a" * (MAX_CHARACTERS + 1), "en", "has 4097 characters, at most 4096", id="a text that is too long"
        ),
    ],
)
def test_text_that_cannot_be_spoken_is_refused_with_a_reason(text: str, language: str, message: str) -> None:
    with pytest.raises(TextRejected, match=message):
        phonemize(text, language)


def test_sentences_are_split_at_their_ends_and_not_at_abbreviations_or_decimals() -> None:
    text = 'Mr. Jones paid $3.50. "Really?" she said. Yes!  J. K. agreed…\nThe end'
    assert split_sentences(text, 200) == [
        "Mr. Jones paid $3.50.",
        '"Really?" she said.',
        "Yes!",
        "J. K. agreed…",
        "The end",
    ]


def test_an_abbreviation_ends_no_sentence_unless_another_begins() -> None:
    text = "We met at 9 a.m. sharp in a U.S. Army base. Fig. 3 shows Acme Inc. grew. He lives in the U.S. He is happy."
    assert split_sentences(text, 150) == [
        "We met at 9 a.m. sharp in a U.S. Army base.",
        "Fig. 3 shows Acme Inc. grew.",
        "He lives in the U.S.",
        "He is happy.",
    ]


def test_quotes_and_brackets_stay_in_their_sentence() -> None:
    assert split_sentences('"Go on!" he cried. "No." She left. 他\uff08真的。我不信。\uff09走了。好。', 150) == [
        '"Go on!" he cried.',
        '"No."',
        "She left.",
        "他\uff08真的。我不信。\uff09走了。",
        "好。",
    ]
    assert split_sentences("I am sad :( " + "Very sad indeed. " * 6, 150)[1:] == ["Very sad indeed."], "no bracket"


def test_a_row_of_han_or_kana_is_cut_between_two_words() -> None:
    text = "这是一个没有任何标点符号的很长的句子"
    for limit in range(12, 3 * len(text), 3):
        parts = split_sentences(text, limit)
        assert "".join(parts) == text
        assert not any(part.endswith(("标", "符")) for part in parts), parts
    assert split_sentences("私は昨日東京駅の近くで友達と一緒に映画を見ました", 45) == [
        "私は昨日東京駅の近くで友達と",
        "一緒に映画を見ました",
    ]


def test_a_character_of_han_is_as_long_as_three_latin_ones() -> None:
    assert [len(part) for part in split_sentences("这是一个很长的句子" * 20, 150)] == [50, 50, 50, 30]


def test_a_long_sentence_is_cut_at_a_clause_then_at_a_word_then_anywhere() -> None:
    assert split_sentences("one two three, four five six seven", 20) == ["one two three,", "four five six seven"]
    assert split_sentences("one two three four five", 12) == ["one two", "three four", "five"]
    assert split_sentences("x" * 25, 10) == ["x" * 10, "x" * 10, "x" * 5]


def test_nothing_but_white_space_is_lost_when_splitting() -> None:
    text = "First, this. Then (that); and 3.5 more... Is it so? " * 20
    pieces = split_sentences(text, 30)
    assert "".join("".join(pieces).split()) == "".join(text.split())
    assert max(len(piece) for piece in pieces) <= 30


def test_a_limit_that_holds_no_word_is_refused() -> None:
    with pytest.raises(TextRejected, match="limit of 3 characters is too small"):
        split_sentences("hello", 3)


def test_importing_the_front_end_loads_no_language_and_no_torch() -> None:
    modules = (
        "sovits_core.text, sovits_core.text.english.frontend, sovits_core.synthesis.sampling, sovits_core.bundle.base"
    )
    heavy = "torch", "pyopenjtalk", "mecab", "jieba", "pypinyin", "ToJyutping", "onnxruntime"
    program = f"import sys, {modules}; assert not [name for name in {heavy} if name in sys.modules]"
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(("language", "package", "extra"), [("ja", "pyopenjtalk", "ja"), ("ko", "mecab", "ko")])
def test_a_language_whose_packages_are_missing_names_the_extra(language: str, package: str, extra: str) -> None:
    program = (
        f"import sys; sys.modules[{package!r}] = None; from sovits_core.__main__ import main; "
        f"sys.exit(main(['phones', '漢字', '--language', {language!r}]))"
    )
    found = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)
    assert (found.returncode, found.stdout) == (64, "")
    assert found.stderr.endswith(f'needs more packages: pip install "sovits-core[{extra}]"\n')


def test_a_mixed_text_is_read_part_by_part() -> None:
    found = phonemize("こんにちは world, 안녕", "auto")
    assert [(part.language, part.normalized) for part in found.segments] == [
        ("ja", "こんにちは "),
        ("en", "world"),
        ("ko", "안녕"),
    ]
    assert " ".join(found.phones) == "k o [ N n i ch i w a W ER1 L D , ㅇ ㅏ ㄴ ㄴ ㅣ ㅓ ㅇ ."
    assert found.phones == sum((part.phones for part in found.segments), ())
    assert found.normalized == "こんにちは  world 안녕"
    assert found.word2ph is None


def test_the_letter_a_on_its_own_is_no_article() -> None:
    assert phonemize("A と B", "ja").segments[0].phones == (",", "EY1")


def test_very_little_text_to_be_spoken_starts_with_a_full_stop_once() -> None:
    assert phonemize_for_synthesis("はい", "ja").phones == (".", *phonemize("はい", "ja").phones)
    assert phonemize_for_synthesis("はい", "ja").phones.count(".") == 1
    assert phonemize_for_synthesis("こんにちは", "ja") == phonemize("こんにちは", "ja")


HOSTILE = {
    "emoji": "😀" * 4096,
    "right to left": "שלום עליכם " * 372,
    "combining marks": "a" + "\u0301" * 4095,
    "control characters": "".join(chr(number % 32) for number in range(4096)),
    "lone surrogates": "\ud800" * 4096,
    "one letter": "あ" * 4096,
    "one syllable": "각" * 4096,
    "brackets": "「(" * 2048,
    "digits": "1," * 2048,
    "scripts": "あ가a1 " * 819,
    "planes": "".join(chr(0x1F000 + 7 * number) for number in range(4096)),
}


@pytest.mark.parametrize("language", ["en", "ja", "ko", "all_ja", "all_ko"])
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_is_read_or_refused_in_four_seconds(text: str, language: str) -> None:
    for known, word in (("zh", "你好"), ("yue", "你好"), ("ja", "東京"), ("ko", "한국"), ("en", "zorbly")):
        phonemize(word, known)  # the dictionaries are loaded once

    def read() -> tuple[str, ...]:
        try:
            return phonemize(text, language).phones
        except TextRejected:
            return ()

    assert set(within(4, read)) <= set(symbols("v2"))
