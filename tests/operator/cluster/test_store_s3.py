"""The object store, on a real S3 server: what the operator reads, lists and removes there."""

import asyncio
import hashlib
import threading
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.support.s3_server import KEYS, s3_server

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


def test_a_purge_of_many_objects_goes_on_where_the_last_one_ended(
    store: Store, bucket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "PURGED_AT_ONCE", 7)
    for number in range(40):
        put(bucket, f"studio/dan/1/{number}", "x")
    put(bucket, "studio/dan/1/train/manifest.json", "{}")
    assert run(store.remove_below("s3://voices/studio/dan/1", first=("train/manifest.json",))) == 41
    assert not [path for path in (bucket / "studio/dan").rglob("*") if path.is_file()]


def test_only_what_is_below_a_folder_is_removed(store: Store, bucket: Path) -> None:
    for key in (
        "studio/carol/1/publish/manifest.json",
        "studio/carol/1/train/a/b",
        "studio/carol/10/x",
        "studio/carol/1x",
    ):
        put(bucket, key, "x")
    assert run(store.remove_below("s3://voices/studio/carol/1", first=("publish/manifest.json", "none"))) == 2
    assert not (bucket / "studio/carol/1/publish/manifest.json").exists()
    assert not (bucket / "studio/carol/1/train/a/b").exists()
    assert (bucket / "studio/carol/10/x").exists()
    assert (bucket / "studio/carol/1x").exists()


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
