"""English text becomes the phones of the official front end, and no text makes it fail."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sovits_core.errors import TextRejected
from sovits_core.symbols import symbols
from sovits_core.text import MAX_CHARACTERS, phone_ids, phonemize, split_sentences

OFFICIAL: dict[str, str] = json.loads((Path(__file__).parent / "data" / "english_phones.json").read_text())
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
        ("Room B12", "Room B one two"),
        ("pages 3-5", "pages three to five"),
        ("HELLO THERE", "hello there"),
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


def test_very_short_text_starts_with_a_pause() -> None:
    assert phonemize("Hi", "en").phones == (",", "HH", "AY1")


@pytest.mark.parametrize(
    ("text", "language", "message"),
    [
        pytest.param("hello", "tlh", "language 'tlh' is not offered; use one of: en", id="an unknown language"),
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
        '"Really?"',
        "she said.",
        "Yes!",
        "J. K. agreed…",
        "The end",
    ]


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


def test_the_front_end_the_sampler_and_the_bundles_need_no_torch() -> None:
    modules = "sovits_core.text.english, sovits_core.sampling, sovits_core.bundles"
    program = f"import sys, {modules}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
