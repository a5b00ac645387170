"""A desired-voices document is read entry by entry, so that one that is wrong hides nothing beside it."""

import json
from datetime import date
from typing import Any

import pytest
from tests.support.processor_time import within

from voice_inference.errors import InvalidDocument
from voice_inference.metrics import Metrics
from voice_inference.voices.desired import DesiredVoices, parse_desired
from voice_inference.voices.registry import VoiceRegistry

DIGEST = "sha256:" + "0" * 64
BASE = {"name": "tiny", "uri": "embedded:tiny", "digest": ""}
OTHER_BASE = {"name": "v2Pro", "uri": "s3://bases/v2Pro", "digest": DIGEST}


def entry(**changes: Any) -> dict[str, Any]:
    return {"id": "studio/alice", "revision": "alice-1", "uri": "s3://voices/alice", "digest": DIGEST} | changes


def following(**changes: Any) -> dict[str, Any]:
    return {"revision": "alice-2", "uri": "s3://voices/alice-2", "digest": DIGEST} | changes


def document(*entries: Any, **changes: Any) -> dict[str, Any]:
    schema = "voice.sovits.dev/desired-voices/v1"
    return {"schema": schema, "generation": 1, "base": BASE, "voices": list(entries)} | changes


def without_base(*entries: Any) -> dict[str, Any]:
    return {name: value for name, value in document(*entries).items() if name != "base"}


def parse(document: Any) -> DesiredVoices:
    return parse_desired(json.dumps(document).encode(), source="test")


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        pytest.param(document(schema="voice.sovits.dev/desired-voices/v2"), "schema", id="another schema version"),
        pytest.param(document(generation="7"), "generation", id="a generation that is text"),
        pytest.param(document(shards=0), "shards", id="no shard at all"),
        pytest.param(document(voices={}), "voices", id="voices that are no list"),
        pytest.param(document(base=OTHER_BASE | {"digest": ""}), "needs a digest", id="an unpinned base"),
        pytest.param([], "object", id="a list"),
    ],
)
def test_a_document_that_is_none_is_refused_with_the_field(changed: Any, where: str) -> None:
    with pytest.raises(InvalidDocument, match=where):
        parse(changed)


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(entry(), id="no base for an entry"),
        pytest.param(entry(base=BASE, next=following()), id="no base for what comes next"),
    ],
)
def test_a_document_without_a_base_of_its_own_keeps_the_entries_that_have_one(wrong: Any) -> None:
    whole = without_base(wrong)
    found = parse(whole | {"voices": [*whole["voices"], entry(id="studio/bob", base=BASE)]})
    assert [voice.id for voice in found.voices] == ["studio/bob"]
    assert "base: " in found.rejected[0]


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        pytest.param(entry(id="alice"), "voices.0 ('alice'): id: ", id="an id without a namespace"),
        pytest.param(entry(id="../x/alice"), "voices.0 ('../x/alice'): id: ", id="an id with dots and slashes"),
        pytest.param(entry(id="x" * 500), "xxx): id: ", id="an id that is too long to repeat"),
        pytest.param(entry(digest="sha256:1"), "voices.0 ('studio/alice'): digest: ", id="a short digest"),
        pytest.param(entry(expires="2027-13-01"), "expires: ", id="a day that is none"),
        pytest.param(entry(base=OTHER_BASE | {"digest": ""}), "needs a digest", id="an unpinned base of its own"),
        pytest.param(entry(next=following(digest="")), "next.digest: ", id="a next revision without a digest"),
        pytest.param(entry(next="alice-2"), "next: ", id="a next revision that is a name"),
        pytest.param(entry(previous="alice-0"), "previous: ", id="a previous revision that is a name"),
        pytest.param(7, "voices.0: ", id="a number"),
        pytest.param(None, "voices.0: ", id="null"),
    ],
)
def test_a_wrong_entry_is_left_out_with_a_sentence_and_the_others_stay(wrong: Any, sentence: str) -> None:
    found = parse(document(wrong, entry(id="studio/bob")))
    assert [voice.id for voice in found.voices] == ["studio/bob"]
    assert len(found.rejected) == 1
    assert sentence in found.rejected[0]
    assert len(found.rejected[0]) < 300


def test_a_word_that_cannot_be_read_does_not_silence_its_voice() -> None:
    words = [
        {"word": "gif", "reading": "JH IH1 F"},
        {"word": "jpeg", "reading": "QQ"},
        {"word": "png", "reading": "P AE1 NG", "alphabet": "klingon"},
        {"word": "重庆", "reading": "chong2 qing4", "alphabet": "pinyin"},
    ]
    found = parse(document(entry(lexicon=words)))
    (voice,) = found.voices
    assert [word.word for word in voice.lexicon] == ["gif", "重庆"]
    assert voice.readings.readings("en") == {"gif": ("JH", "IH1", "F")}
    assert len(found.rejected) == 2
    assert "voices.0 ('studio/alice'): lexicon: 'QQ' in the reading of 'jpeg' is no ARPAbet phone" in found.rejected[0]
    assert "voices.0 ('studio/alice'): lexicon.2: alphabet: " in found.rejected[1]


def test_of_a_voice_that_is_listed_twice_the_first_entry_counts() -> None:
    found = parse(document(entry(), entry(revision="alice-2")))
    assert [voice.revision for voice in found.voices] == ["alice-1"]
    assert found.rejected == ("voices.1 ('studio/alice'): the voice is listed twice",)


def test_fields_of_later_versions_are_ignored() -> None:
    found = parse(document(entry(colour="red", next=following(colour="blue")), colour="green"))
    assert [voice.id for voice in found.voices] == ["studio/alice"]
    assert found.rejected == ()


def test_a_document_of_the_first_operators_is_one_shard_of_one() -> None:
    found = parse(document(entry()))
    assert (found.shard, found.shards) == (0, 1)
    (voice,) = found.voices
    assert (voice.expires, voice.next, voice.previous) == (None, None, None)


def test_an_entry_carries_its_last_day_what_comes_next_and_what_was_before() -> None:
    before = following(revision="alice-0")
    (voice,) = parse(document(entry(expires="2027-11-01", next=following(), previous=before))).voices
    assert voice.expires == date(2027, 11, 1)
    assert voice.next is not None
    assert (voice.next.id, voice.next.revision) == ("studio/alice", "alice-2")
    assert voice.previous is not None
    assert (voice.previous.id, voice.previous.revision) == ("studio/alice", "alice-0")
    assert voice.previous.base == voice.base


def test_a_revision_without_a_base_has_that_of_the_document() -> None:
    (voice,) = parse(document(entry(base=OTHER_BASE, next=following()))).voices
    assert voice.next is not None
    assert (voice.base.name, voice.next.base.name) == ("v2Pro", "tiny")


def test_a_document_needs_no_base_when_all_revisions_name_theirs() -> None:
    found = parse(without_base(entry(base=OTHER_BASE, next=following(base=BASE))))
    assert found.base is None
    assert found.voices[0].next is not None
    assert (found.voices[0].base.name, found.voices[0].next.base.name) == ("v2Pro", "tiny")


def test_ten_thousand_voices_are_read_and_compared_well_within_a_poll(clock: Any) -> None:
    entries = [
        entry(id=f"studio/voice-{number}", digest=f"sha256:{number:064x}", expires="2027-11-01")
        for number in range(10_000)
    ]
    data = json.dumps(document(*entries)).encode()
    registry = VoiceRegistry(Metrics(), clock)
    registry.update(parse_desired(data, source="test"))
    within(1, lambda: registry.update(parse_desired(data, source="test")))
