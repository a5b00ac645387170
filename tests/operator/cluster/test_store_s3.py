"""The object store, on a real S3 server: what the operator reads, lists and removes there."""

import asyncio
import hashlib
import threading
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.support.s3_server import KEYS, environment_of, keep_versions, s3_server, versions_of

import voice_store
from voice_operator.cluster import store as store_module
from voice_operator.cluster.store import Store, open_store
from voice_operator.errors import StoreError


def run(call: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(call)


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder behind the bucket `voices`."""
    folder = tmp_path_factory.mktemp("s3") / "voices"
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def environment(bucket: Path, tool: Callable[[str], Path]) -> Iterator[dict[str, str]]:
    """The variables that lead to an S3 server of our own."""
    with s3_server(tool("versitygw"), bucket.parent) as port:
        yield {"AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}", **KEYS}


@pytest.fixture
def store(environment: dict[str, str]) -> Iterator[Store]:
    opened = open_store("s3://voices", environment)
    yield opened
    opened.close()


def put(bucket: Path, key: str, text: str) -> None:
    (bucket / key).parent.mkdir(parents=True, exist_ok=True)
    (bucket / key).write_text(text)


def test_documents_are_read_and_missing_ones_are_none(store: Store, bucket: Path) -> None:
    put(bucket, "studio/alice/manifest.json", "{}")
    assert run(store.read("s3://voices/studio/alice/manifest.json")) == b"{}"
    assert run(store.read("s3://voices/studio/alice/none.json")) is None


def test_the_server_tells_when_a_document_was_written(store: Store, bucket: Path) -> None:
    put(bucket, "studio/alice/receipt.json", "{}")
    put(bucket, "studio/alice/receipt.json.old", "{}")
    written = run(store.modified("s3://voices/studio/alice/receipt.json"))
    assert abs((datetime.now(UTC) - written).total_seconds()) < 60
    assert run(store.modified("s3://voices/studio/alice/none.json")) is None


def test_a_dataset_is_recognised_by_its_files(store: Store, bucket: Path) -> None:
    assert run(store.fingerprint("s3://voices/datasets/bob")) is None
    put(bucket, "datasets/bob/metadata.csv", "1|Hello.")
    put(bucket, "datasets/bob/wavs/1.wav", "RIFF")
    put(bucket, "datasets/bobby/metadata.csv", "somebody else")
    first = run(store.fingerprint("s3://voices/datasets/bob"))
    assert first == run(store.fingerprint("s3://voices/datasets/bob/"))
    put(bucket, "datasets/bob/wavs/2.wav", "RIFF")
    assert run(store.fingerprint("s3://voices/datasets/bob")) != first


def test_a_fingerprint_is_that_of_the_sorted_keys_however_they_come(
    store: Store, environment: dict[str, str], bucket: Path
) -> None:
    for key in ("a.wav", "a-b/x", "a/x", "aa", "b/2", "b/10", "ä", "Z"):
        put(bucket, f"datasets/sorted/{key}", key)
    found = voice_store.open_store("s3://voices/datasets/sorted", environment).list()
    lines = "".join(f"{entry.key}\t{entry.size}\t{entry.etag}\n" for entry in found)
    expected = f"sha256:{hashlib.sha256(lines.encode()).hexdigest()}"
    assert run(store.fingerprint("s3://voices/datasets/sorted")) == expected


def test_a_prefix_with_too_many_objects_is_refused_when_they_are_counted(
    store: Store, bucket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "MAX_LISTED", 10)
    for number in range(11):
        put(bucket, f"datasets/many/{number}", "x")
    with pytest.raises(StoreError, match="holds more than 10 objects; name a narrower prefix"):
        run(store.fingerprint("s3://voices/datasets/many"))


def test_a_listing_that_nobody_waits_for_stops(store: Store, bucket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(2500):  # three parts
        (bucket / "stopped").mkdir(exist_ok=True)
        (bucket / "stopped" / f"{number}").touch()
    monkeypatch.setattr(store_module, "LIST_SECONDS", 0.01)
    before = set(threading.enumerate())
    with pytest.raises(StoreError, match="has not answered"):
        run(store.fingerprint("s3://voices/stopped"))
    started = set(threading.enumerate()) - before
    assert started
    store.close()
    for thread in started:
        thread.join(timeout=20)
        assert not thread.is_alive(), f"{thread.name} goes on"


def test_an_erasure_of_many_objects_goes_on_where_the_last_one_ended(
    store: Store, bucket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "ERASED_AT_ONCE", 7)
    monkeypatch.setattr(store_module, "ERASE_SECONDS", 0.01)
    for number in range(400):
        put(bucket, f"studio/dan/1/{number}", "xy")
    looks = [run(store.erase_below("s3://voices/studio/dan"))]
    while not looks[-1].done:
        looks.append(run(store.erase_below("s3://voices/studio/dan")))
    assert len(looks) > 1
    assert sum(one.objects for one in looks) == 400
    assert sum(one.size for one in looks) == 800
    assert not [path for path in (bucket / "studio/dan").rglob("*") if path.is_file()]


def test_only_what_is_below_a_folder_is_erased(store: Store, bucket: Path) -> None:
    for key in ("carol/1/publish/manifest.json", "carol/1/train/a/b", "carol/10/x", "carol/1x", "carola/1/x"):
        put(bucket, f"studio/{key}", "x")
    assert run(store.erase_below("s3://voices/studio/carol", ("1/",))).objects == 2
    left = {path.relative_to(bucket / "studio").as_posix() for path in (bucket / "studio").rglob("carol*/**/*")}
    assert {"carol/10/x", "carol/1x", "carola/1/x"} == {one for one in left if (bucket / "studio" / one).is_file()}


def test_what_is_kept_is_kept(store: Store, bucket: Path) -> None:
    for key in ("1/train/x", "revisions/erin-1/manifest.json", "revisions/erin-10/manifest.json"):
        put(bucket, f"studio/erin/{key}", "x")
    assert run(store.erase_below("s3://voices/studio/erin", keep=("revisions/erin-1/",))).objects == 2
    assert [path.name for path in (bucket / "studio/erin").rglob("*") if path.is_file()] == ["manifest.json"]
    assert (bucket / "studio/erin/revisions/erin-1/manifest.json").exists()


def test_what_would_be_erased_is_seen_before(store: Store, bucket: Path) -> None:
    uri, bundle = "s3://voices/studio/hugh", ("revisions/hugh-1/",)
    assert not run(store.has_any(uri, ("",)))
    put(bucket, "studio/hugh/revisions/hugh-1/manifest.json", "x")
    assert run(store.has_any(uri, ("",)))
    assert not run(store.has_any(uri, ("",), keep=bundle))
    assert not run(store.has_any(uri, ("1/", "2/")))
    put(bucket, "studio/hugh/2/train/x", "x")
    assert run(store.has_any(uri, ("1/", "2/"), keep=bundle))


@pytest.mark.parametrize("uri", ["s3://voices", "s3://voices/studio", "s3://voices/studio/"])
def test_no_more_than_the_folder_of_a_voice_is_ever_erased(store: Store, bucket: Path, uri: str) -> None:
    put(bucket, "studio/fay/x", "x")
    with pytest.raises(StoreError, match="is not the folder of a voice; nothing is erased"):
        run(store.erase_below(uri))
    assert (bucket / "studio/fay/x").exists()


def test_a_bucket_that_keeps_versions_has_none_of_what_was_erased(tool: Callable[[str], Path], tmp_path: Path) -> None:
    """Every version and marker of a deletion, and the parts of an upload that never ended; neighbours keep theirs."""
    folder, versions = tmp_path / "data", tmp_path / "versions"
    for made in (folder / "voices", versions):
        made.mkdir(parents=True)
    with s3_server(tool("versitygw"), folder, versions=versions) as port:
        opened = voice_store.open_store("s3://voices/studio", environment_of(port))
        opened.write("gail/before", b"older than the versions")
        client = keep_versions(port)
        for content in (b"one", b"two", b"three"):
            opened.write("gail/1/train/checkpoint", content)
            opened.write("gail/1/clip+1.flac", content)
            opened.write("gale/1/clip", content)
        opened.delete("gail/1/clip+1.flac")
        opened.write("gail/before", b"newer")
        upload = client._create_multipart_upload("voices", "studio/gail/big", {})
        client._upload_part("voices", "studio/gail/big", b"part", None, upload, 1)
        store = open_store("s3://voices", environment_of(port))
        removed = run(store.erase_below("s3://voices/studio/gail"))
        store.close()
        assert (removed.objects, removed.done, removed.hidden) == (10, True, False)  # 3 + 3 + a marker, 2, an upload
        assert versions_of(port, "studio/gail") == []
        assert versions_of(port, "studio/gale") == ["studio/gale/1/clip"] * 3
        on_disk = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
        assert on_disk.count(b"two") == 1, "of the neighbour"
        assert not {b"part", b"newer", b"older than the versions"} & {*on_disk}


@pytest.mark.parametrize(
    ("uri", "changes", "sentence"),
    [
        pytest.param("s3://nowhere/x", {}, "create it, or correct the URI", id="no such bucket"),
        pytest.param(
            "s3://voices/x", {"AWS_SECRET_ACCESS_KEY": "wrong"}, "correct AWS_SECRET_ACCESS_KEY", id="a wrong key"
        ),
        pytest.param(
            "s3://voices/x",
            {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"},
            "no connection to 127.0.0.1:9",
            id="nobody there",
        ),
    ],
)
def test_a_store_in_trouble_says_which(
    environment: dict[str, str], uri: str, changes: dict[str, str], sentence: str
) -> None:
    store = open_store("s3://voices", environment | changes)
    with pytest.raises(StoreError, match=sentence) as caught:
        run(store.read(uri))
    assert uri in str(caught.value)
    assert "0x" not in str(caught.value)
