"""A request's lexicon is read, and an entry that cannot be used is refused by its field."""

import pytest
from pydantic import ValidationError

from sovits_core.text import phonemize
from voice_inference.api.speech_request import SpeechRequest
from voice_inference.errors import InvalidRequest


def a_request(**entry: str) -> SpeechRequest:
    return SpeechRequest.model_validate({"input": "a gif", "voice": "studio/alice", "lexicon": [entry]})


def test_its_readings_go_before_those_of_the_front_end() -> None:
    readings = a_request(word="gif", reading="JH IH1 F").readings()
    assert phonemize("a gif", "en", lexicon=readings).phones == ("AH0", "JH", "IH1", "F")


def test_an_entry_that_cannot_be_used_names_the_field_and_the_remedy() -> None:
    with pytest.raises(
        InvalidRequest, match="'XX' in the reading of 'gif' is no ARPAbet phone; write vowels"
    ) as refused:
        a_request(word="gif", reading="XX").readings()
    assert refused.value.field == "lexicon"


def test_an_alphabet_that_is_not_offered_is_refused() -> None:
    with pytest.raises(ValidationError, match="'cmu', 'ipa', 'pinyin', 'jyutping', 'kana' or 'hangul'"):
        a_request(word="gif", reading="JH", alphabet="klingon")


def test_a_locale_that_is_not_known_is_refused_with_those_that_are() -> None:
    request = SpeechRequest.model_validate({"input": "12/3", "voice": "studio/alice", "locale": "en-UK"})
    with pytest.raises(InvalidRequest, match=r"locale 'en-UK' is not known; use one of: .*en-GB, .*zh-TW") as refused:
        request.known_locale()
    assert refused.value.field == "locale"
