"""The readings that a VoiceModel gives for words, as `sovits_core.text.lexicon` takes them."""

from typing import Final, Literal

from pydantic import ConfigDict, Field

from voice_operator.api.schema import Schema, rules

MAX_ENTRIES: Final = 100  # every list of voices carries them
_VOWEL: Final = "(AA|AE|AH|AO|AW|AY|EH|ER|EY|IH|IY|OW|OY|UH|UW)[012]"
_CONSONANT: Final = "B|CH|D|DH|F|G|HH|JH|K|L|M|N|NG|P|R|S|SH|T|TH|V|W|Y|Z|ZH"
_HAN: Final = r"^[\\x{3400}-\\x{4DBF}\\x{4E00}-\\x{9FFF}\\x{20000}-\\x{323AF}]+$"
_PINYIN: Final = "[a-zü:āáǎàēéěèīíǐìōóǒòūúǔùǖǘǚǜ]+[1-5]?"
_JYUTPING: Final = "[a-z]+[1-6]"
_KANA: Final = r"^[\\x{3041}-\\x{3096}\\x{30A1}-\\x{30FA}\\x{30FC}]+$"
_HANGUL: Final = r"[\\x{AC00}-\\x{D7A3}]+"


def _row(one: str) -> str:
    return f"^({one})( ({one}))*$"


def _syllables(one: str) -> str:
    of_han = f"self.word.matches('{_HAN}') && self.reading.matches('{_row(one)}')"
    return f"{of_han} && size(self.word) == size(self.reading.split(' '))"


def _where(alphabet: str, rule: str) -> str:
    return f"self.alphabet != '{alphabet}' || ({rule})"


_RULES: Final = rules(
    (
        _where("cmu", f"self.reading.upperAscii().matches('{_row(f'{_VOWEL}|{_CONSONANT}')}')"),
        "spec.lexicon: a reading in cmu is ARPAbet, vowels with their stress, such as K UW2 B ER0 N EH1 T IY0 Z",
    ),
    (
        _where("pinyin", _syllables(_PINYIN)),
        "spec.lexicon: an entry in pinyin is a word of Han characters and a syllable for each, such as chong2 qing4",
    ),
    (
        _where("jyutping", _syllables(_JYUTPING)),
        "spec.lexicon: an entry in jyutping is a word of Han characters and a syllable for each, such as hoeng1 gong2",
    ),
    (
        _where("kana", f"self.reading.matches('{_KANA}')"),
        "spec.lexicon: a reading in kana is hiragana or katakana alone, such as ダイスケ",
    ),
    (
        _where("hangul", f"self.reading.matches('{_row(_HANGUL)}')"),
        "spec.lexicon: a reading in hangul is syllables of Hangul alone, such as 쿠버네티스",
    ),
)


class Reading(Schema):
    """How one word is read."""

    model_config = ConfigDict(json_schema_extra=_RULES)

    word: str = Field(min_length=1, max_length=100, description="The word as texts write it.")
    reading: str = Field(
        min_length=1,
        max_length=200,
        description="Phones or syllables with spaces between them (cmu, pinyin, jyutping), or a spelling.",
    )
    alphabet: Literal["cmu", "ipa", "pinyin", "jyutping", "kana", "hangul"] = Field(
        "cmu", description="What the reading is written in; cmu (ARPAbet) and ipa are English."
    )
