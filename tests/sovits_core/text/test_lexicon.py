# ruff: noqa: RUF001 -- phonetic letters are what these tests are about
"""Readings that people give go before all others, and one that cannot be used is named with the remedy."""

import pytest

from sovits_core.errors import LexiconRejected
from sovits_core.text import Lexicon, LexiconEntry, phonemize
from sovits_core.text.ipa import to_arpabet


@pytest.mark.parametrize(
    ("entry", "text", "language", "spoken"),
    [
        pytest.param(
            ("kubernetes", "K UW2 B ER0 N EH1 T IY0 Z", "cmu"),
            "Kubernetes",
            "en",
            "K UW2 B ER0 N EH1 T IY0 Z",
            id="cmu",
        ),
        pytest.param(("Nguyen", "/wɪn/", "ipa"), "Mr. Nguyen's", "en", "M IH1 S T ER0 W IH1 N Z", id="ipa, possessive"),
        pytest.param(("GPT-4o", "F AO1 R", "cmu"), "GPT-4o", "zh", ", F AO1 R", id="a word with digits, in Mandarin"),
        pytest.param(("北京", "B EY2 JH IH1 NG", "cmu"), "in 北京", "en", "IH0 N B EY2 JH IH1 NG", id="another script"),
        pytest.param(("乐清", "yue4 qing1", "pinyin"), "去乐清", "zh", "q v4 y ve4 q ing1", id="pinyin"),
        pytest.param(("重庆", "chóng qìng", "pinyin"), "重庆", "zh", "ch ong2 q ing4", id="pinyin with marks"),
        pytest.param(("廣州", "gwong2 zau1", "jyutping"), "廣州", "yue", "Ygw Yong2 Yz Yau1", id="jyutping"),
        pytest.param(("大輔", "だいすけ", "kana"), "大輔", "ja", "d a [ i ] s u k e", id="kana"),
        pytest.param(("GitHub", "깃허브", "hangul"), "GitHub", "ko", "ㄱ ㅣ ㅌ ㅓ ㅂ ㅡ .", id="hangul"),
    ],
)
def test_a_word_is_read_as_its_entry_says(entry: tuple[str, str, str], text: str, language: str, spoken: str) -> None:
    lexicon = Lexicon.of([LexiconEntry(*entry)])  # type: ignore[arg-type]
    found = phonemize(text, language, lexicon=lexicon)
    assert " ".join(found.phones) == spoken
    assert not any("\ue000" <= character <= "\uf8ff" for character in found.normalized)


def test_only_whole_words_are_meant() -> None:
    lexicon = Lexicon.of([LexiconEntry("cat", "D AO1 G", "cmu")])
    assert phonemize("concatenate", "en", lexicon=lexicon).phones == phonemize("concatenate", "en").phones


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (("gif", "JH IH F", "cmu"), "'IH' in the reading of 'gif' is no ARPAbet phone; write vowels with their stress"),
        (("gif", "dʒɪ€f", "ipa"), "'€f' in the reading of 'gif' is no English sound in IPA"),
        (("重庆", "chong2", "pinyin"), "give a word of Han characters and one syllable in pinyin for each"),
        (("香港", "heung gong", "jyutping"), "one syllable in Jyutping for each"),
        (("大輔", "daisuke", "kana"), "'daisuke' for '大輔' is not kana alone"),
        (("깃허브", "github", "hangul"), "'github' for '깃허브' is not Hangul alone"),
        (("", "x", "cmu"), "give a word of at most 100 characters"),
        (("x", "y", "klingon"), "alphabet 'klingon' of 'x' is not known; use one of cmu, ipa"),
    ],
)
def test_an_entry_that_cannot_be_used_is_named(entry: tuple[str, str, str], message: str) -> None:
    with pytest.raises(LexiconRejected, match=message):
        Lexicon.of([LexiconEntry(*entry)])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ipa", "phones"),
    [
        ("/ˌkuːbərˈnɛtiːz/", "K UW2 B ER0 N EH1 T IY0 Z"),
        ("həˈləʊ", "HH AH0 L OW1"),
        ("ˈt͡ʃɜːt͡ʃ", "CH ER1 CH"),
        ("kæt", "K AE1 T"),
        ("ˈbʌtn̩", "B AH1 T AH0 N"),
    ],
)
def test_english_in_ipa(ipa: str, phones: str) -> None:
    assert to_arpabet(ipa) == (tuple(phones.split()), "")


def test_of_two_lexicons_the_later_one_counts() -> None:
    first = Lexicon.of([LexiconEntry("gif", "G IH1 F", "cmu"), LexiconEntry("重庆", "zhong4 qing4", "pinyin")])
    later = Lexicon.of([LexiconEntry("gif", "JH IH1 F", "cmu"), LexiconEntry("大輔", "だいすけ", "kana")])
    both = first.then(later)
    assert phonemize("gif", "en", lexicon=both).phones == (",", "JH", "IH1", "F")
    assert phonemize("重庆", "zh", lexicon=both).phones == ("zh", "ong4", "q", "ing4")
    assert both.readings("ja") == later.readings("ja")
    assert first.then(Lexicon()) is first
    assert Lexicon().then(later) is later
