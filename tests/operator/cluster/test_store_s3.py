"""The object store, on a real S3 server: what the operator reads, lists and removes there."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.support.s3_server import KEYS, s3_server

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
def store(environment: dict[str, str]) -> Store:
    return open_store("s3://voices", environment)


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
