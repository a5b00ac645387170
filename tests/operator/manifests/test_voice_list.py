"""The list of a server's voices: in parts that fit ConfigMaps, and of which a change of one voice changes one."""

import json
from dataclasses import replace
from typing import Any

import pytest

from voice_operator.api.voice_server import VoiceServerSpec
from voice_operator.api.voice_status import ResolvedBase
from voice_operator.errors import ListTooLong
from voice_operator.manifests import voice_list
from voice_operator.manifests.server import deployment
from voice_operator.manifests.voice_list import (
    MAX_SHARD_BYTES,
    MAX_SHARDS,
    Document,
    configured_base,
    differ,
    list_config_map,
    list_document,
    list_name,
    merged,
    rendered,
    shard_of,
    shards_of,
    without_removed,
)
from voice_operator.reconcile.observed import DesiredRevision, DesiredVoice, ServerRef, VoiceServer
from voice_operator.settings import Settings

SERVER = ServerRef("voice-system", "default", "uid")
LARGE = "sha256:" + "1" * 64
CONFIG_MAP_BYTES = 1 << 20  # what the API server accepts


def settings(**changes: Any) -> Settings:
    bases = {"tiny": {"uri": "embedded:tiny"}, "large": {"uri": "s3://bases/large", "digest": LARGE}}
    document = {"images": {"trainer": "t", "inference": "i"}, "bases": bases, "storage": {"uri": "s3://voices"}}
    return Settings.model_validate(document | changes)


def a_voice(number: int, *, beside: bool = False) -> DesiredVoice:
    """A voice with long names, as large as entries are."""
    name = f"voice-{number:05}-{'x' * 28}"
    uri = f"s3://a-bucket-with-a-long-name/and/a/prefix/studio-of-a-large-company/{name}/revisions/{name}"
    base = ResolvedBase(name="large", uri="s3://bases/large", digest=LARGE)
    seal = {"seal": "s" * 88, "spec_digest": "sha256:" + "d" * 64}
    bundle = DesiredRevision(f"{name}-3fa9c2d1", f"{uri}-3fa9c2d1", "sha256:" + "c" * 64, base, **seal)
    found = DesiredVoice(f"studio/{name}", f"{name}-1b2c3d4e", f"{uri}-1b2c3d4e", "sha256:" + "b" * 64, base, **seal)
    return replace(found, expires="2027-11-01", next=bundle if beside else None)


def a_list(*voices: DesiredVoice, base: str = "tiny", generation: int = 7, **changes: Any) -> Document:
    configured = settings(**changes)
    return list_document(SERVER, voices, configured_base(base, configured), generation, configured)


CROWD = [a_voice(number, beside=True) for number in range(10_000)]


def test_ten_thousand_voices_fit() -> None:
    document = a_list(*CROWD)
    parts = shards_of(document, 1, reserved_bytes=0)
    sizes = [len(rendered(part).encode()) for part in parts]
    assert len(parts) <= MAX_SHARDS
    assert max(sizes) <= MAX_SHARD_BYTES
    assert min(sizes) > 0.8 * max(sizes), "hashes spread them evenly"
    assert merged(parts) == document
    assert [part["shard"] for part in parts] == list(range(len(parts)))
    assert {part["shards"] for part in parts} == {len(parts)}


def test_what_else_a_config_map_holds_counts_too() -> None:
    certificate = "-----BEGIN CERTIFICATE-----\n" + "x" * (256 << 10)
    configured = settings(storage={"uri": "s3://voices", "ca": certificate[: 256 << 10]})
    parts = shards_of(a_list(*CROWD[:3000]), 1, reserved_bytes=len(configured.storage.ca))
    for part in parts:
        data = list_config_map(SERVER, part, configured)["data"]
        assert sum(len(text.encode()) for text in data.values()) <= MAX_SHARD_BYTES < CONFIG_MAP_BYTES
        assert ("ca.crt" in json.dumps(list(data))) is (part["shard"] == 0), "it is needed once"


def test_a_short_list_is_one_part_without_a_number() -> None:
    document = a_list(a_voice(1))
    assert shards_of(document, 1, reserved_bytes=0) == [document]
    assert "shards" not in document


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda voices: voices[1:], id="a voice that leaves"),
        pytest.param(lambda voices: [*voices, a_voice(99_999)], id="a voice that comes"),
        pytest.param(lambda voices: [replace(voices[0], next=None), *voices[1:]], id="a voice that changes"),
        pytest.param(lambda voices: [replace(voices[0], expires="2026-01-01"), *voices[1:]], id="another last day"),
    ],
)
def test_one_part_is_written_for(change: Any) -> None:
    before = shards_of(a_list(*CROWD), 1, reserved_bytes=0)
    after = shards_of(a_list(*change(CROWD), generation=8), len(before), reserved_bytes=0)
    assert len(after) == len(before)
    assert sum(differ(old, new) for old, new in zip(before, after, strict=True)) == 1


def test_the_number_of_parts_never_shrinks() -> None:
    parts = shards_of(a_list(*CROWD[:3]), 8, reserved_bytes=0)
    assert len(parts) == 8
    assert merged(parts) == a_list(*CROWD[:3])
    assert len(shards_of(a_list(), 8, reserved_bytes=0)) == 8, "nor for a list of nobody"


def test_a_part_follows_from_the_voices_id_alone() -> None:
    parts = shards_of(a_list(*CROWD[:100]), 4, reserved_bytes=0)
    for part in parts:
        assert all(shard_of(entry["id"], 4) == part["shard"] for entry in part["voices"])


def test_too_many_voices_are_refused_with_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voice_list, "MAX_SHARD_BYTES", 20_000)
    with pytest.raises(ListTooLong) as caught:
        shards_of(a_list(*CROWD[:1000]), 1, reserved_bytes=0)
    assert str(caught.value) == (
        "VoiceServer voice-system/default: its 1000 voices need more than 16 ConfigMaps; divide them between several "
        "VoiceServers (spec.serving.server)"
    )


def test_from_a_list_that_is_too_long_voices_can_still_be_removed() -> None:
    before = shards_of(a_list(*CROWD[:10]), 4, reserved_bytes=0)
    document = a_list(*CROWD[1:20], generation=8)
    after = without_removed(before, document)
    assert [entry["id"] for entry in merged(after)["voices"]] == [voice.id for voice in CROWD[1:10]]
    assert sum(differ(old, new) for old, new in zip(before, after, strict=True)) == 1
    assert merged(after)["generation"] == 8


def test_a_generation_alone_makes_no_difference() -> None:
    assert not differ(a_list(a_voice(1), generation=7), a_list(a_voice(1), generation=8))
    assert differ(a_list(a_voice(1)), a_list(a_voice(2)))


def test_the_whole_has_the_generation_of_its_newest_part() -> None:
    parts = shards_of(a_list(*CROWD[:10]), 2, reserved_bytes=0)
    assert merged([parts[0], parts[1] | {"generation": 9}])["generation"] == 9


OF_LARGE = ResolvedBase(name="large", uri="s3://bases/large", digest=LARGE)
OF_TINY = ResolvedBase(name="tiny", uri="embedded:tiny")


@pytest.mark.parametrize(
    ("recorded", "server", "bases", "entry"),
    [
        pytest.param(None, "tiny", {}, None, id="a voice without a record has the server's"),
        pytest.param(OF_TINY, "tiny", {}, None, id="the server's own need not be said"),
        pytest.param(
            OF_LARGE,
            "renamed",
            {"renamed": {"uri": "s3://elsewhere/large", "digest": LARGE}},
            None,
            id="the server's own under another name and address, by its digest",
        ),
        pytest.param(OF_LARGE, "tiny", {}, OF_LARGE.document(), id="another base is said"),
        pytest.param(
            OF_LARGE,
            "tiny",
            {"renamed": {"uri": "s3://elsewhere/large", "digest": LARGE}},
            OF_LARGE.document() | {"uri": "s3://elsewhere/large"},
            id="at the address where the installation has it today, whatever its name",
        ),
        pytest.param(
            OF_TINY,
            "large",
            {},
            OF_TINY.document(),
            id="a base without a digest is found where it was",
        ),
        pytest.param(
            OF_TINY.model_copy(update={"uri": "s3://gone"}),
            "nowhere",
            {},
            {"name": "tiny", "uri": "s3://gone", "digest": ""},
            id="also on a server whose base is not configured",
        ),
    ],
)
def test_an_entry_names_its_base(
    recorded: ResolvedBase | None, server: str, bases: dict[str, Any], entry: dict[str, Any] | None
) -> None:
    known = {"tiny": {"uri": "embedded:tiny"}} | (bases or {"large": {"uri": "s3://bases/large", "digest": LARGE}})
    beside = DesiredRevision("", uri="s3://v/2", digest="sha256:" + "c" * 64, base=recorded)
    voice = replace(a_voice(1), base=recorded, next=beside)
    document = a_list(voice, base=server, bases=known)
    assert document["voices"][0].get("base") == entry
    assert document["voices"][0]["next"].get("base") == entry
    assert ("base" in document) is (server != "nowhere")


def test_a_document_is_as_short_as_it_can_be() -> None:
    voice = DesiredVoice("studio/alice", "alice-1", "s3://v/1", "sha256:" + "b" * 64)
    entry = {"id": "studio/alice", "revision": "alice-1", "uri": "s3://v/1", "digest": "sha256:" + "b" * 64}
    entry["expires"] = None
    assert a_list(voice)["voices"] == [entry]
    assert " " not in rendered(a_list(voice))


def test_pods_mount_every_part_there_may_ever_be_and_need_the_first() -> None:
    server = VoiceServer("voice-system", "default", "uid", 1, VoiceServerSpec(base="tiny"))
    pod = deployment(server, settings())["spec"]["template"]["spec"]
    (volume,) = [one for one in pod["volumes"] if one["name"] == "voices"]
    sources = [source["configMap"] for source in volume["projected"]["sources"]]
    assert [source["name"] for source in sources] == [list_name("default", shard) for shard in range(MAX_SHARDS)]
    assert [source.get("optional", False) for source in sources] == [False] + [True] * (MAX_SHARDS - 1)
    files = [next(iter(list_config_map(SERVER, {"shard": shard}, settings())["data"])) for shard in range(MAX_SHARDS)]
    assert len(set(files)) == MAX_SHARDS, "all parts lie in one folder"
