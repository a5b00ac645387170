"""Stores: what a folder and an S3 client promise to trainer and server."""

import subprocess
import sys
from pathlib import Path

import pytest

from sovits_core import stores
from sovits_core.stores import FolderStore, open_store


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "bucket")


def test_what_was_written_can_be_read_listed_and_deleted(store: FolderStore) -> None:
    store.write("prepare/clips/a.flac", b"sound")
    store.write("prepare/manifest.json", b"{}", "application/json")
    store.write("train/x", b"")
    assert store.read("prepare/clips/a.flac") == b"sound"
    assert store.list("prepare/") == ("prepare/clips/a.flac", "prepare/manifest.json")
    assert store.list() == ("prepare/clips/a.flac", "prepare/manifest.json", "train/x")
    assert store.exists("train/x")
    store.delete("train/x")
    store.delete("train/x")
    assert not store.exists("train/x")


def test_files_travel_both_ways(store: FolderStore, tmp_path: Path) -> None:
    (tmp_path / "here").write_bytes(b"1" * 3_000_000)
    store.upload("a/b", tmp_path / "here")
    store.download("a/b", tmp_path / "down" / "there")
    assert (tmp_path / "down" / "there").read_bytes() == b"1" * 3_000_000


def test_a_missing_object_is_not_found(store: FolderStore, tmp_path: Path) -> None:
    with pytest.raises(stores.NotFound, match="nothing/here does not exist"):
        store.read("nothing/here")
    with pytest.raises(stores.NotFound):
        store.download("nothing/here", tmp_path / "x")
    assert store.list("nothing") == ()


def test_a_reader_takes_no_more_than_its_limit_and_leaves_nothing_behind(store: FolderStore, tmp_path: Path) -> None:
    store.write("big", b"0" * 11)
    assert len(store.read("big", limit=11)) == 11
    with pytest.raises(stores.TooLarge, match="big is larger than 10 bytes"):
        store.read("big", limit=10)
    with pytest.raises(stores.TooLarge):
        store.download("big", tmp_path / "half", limit=10)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bucket"]


@pytest.mark.parametrize(
    "key", ["../x", "a/../../x", "/etc/passwd", "", "a//b", "a/", "./a", "a\\..\\b", "a\x00b", "a\nb", "k" * 1025]
)
def test_a_key_that_is_no_plain_relative_path_is_refused(store: FolderStore, key: str) -> None:
    with pytest.raises(stores.InvalidKey):
        store.write(key, b"")
    with pytest.raises(stores.InvalidKey):
        store.read(key)
    with pytest.raises(stores.InvalidKey):
        store.exists(key)


def test_a_link_that_leads_out_of_the_folder_is_refused(store: FolderStore, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret")
    store.root.mkdir()
    (store.root / "out").symlink_to(tmp_path)
    with pytest.raises(stores.InvalidKey, match="leads out of"):
        store.read("out/secret")
    assert store.list() == ()


def test_a_folder_opens_by_uri(tmp_path: Path) -> None:
    store = open_store((tmp_path / "with space").as_uri())
    store.write("a", b"1")
    assert (tmp_path / "with space" / "a").read_bytes() == b"1"
    assert open_store(store.uri).read("a") == b"1"


@pytest.mark.parametrize(
    "uri", ["", "relative/path", "file://host/path", "file:", "s3://", "gs://bucket/x", "s3://b/x?versionId=1"]
)
def test_other_uris_are_refused_with_the_two_forms_that_work(uri: str) -> None:
    with pytest.raises(stores.Misconfigured, match="s3://bucket/prefix or file:///folder"):
        open_store(uri, {})


def s3_environment(**changes: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
        "AWS_ACCESS_KEY_ID": "someone",
        "AWS_SECRET_ACCESS_KEY": "secret",
    } | changes


def test_s3_names_the_settings_that_are_missing() -> None:
    with pytest.raises(stores.Misconfigured, match="AWS_ENDPOINT_URL_S3, AWS_SECRET_ACCESS_KEY must be set"):
        open_store("s3://voices/a", {"AWS_ACCESS_KEY_ID": "someone"})


@pytest.mark.parametrize("endpoint", ["localhost:9000", "ftp://host", "http://host/path"])
def test_s3_refuses_an_endpoint_of_another_form(endpoint: str) -> None:
    with pytest.raises(stores.Misconfigured, match="AWS_ENDPOINT_URL_S3 is"):
        open_store("s3://voices/a", s3_environment(AWS_ENDPOINT_URL_S3=endpoint))


def test_s3_refuses_traversal_before_it_asks_the_network() -> None:
    store = open_store("s3://voices/a", s3_environment())
    with pytest.raises(stores.InvalidKey):
        store.read("../other-tenant/key")
    with pytest.raises(stores.InvalidKey):
        open_store("s3://voices/a/../b", s3_environment())


def test_an_s3_that_does_not_answer_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "RETRIES", 0)
    store = open_store("s3://voices/a", s3_environment())
    with pytest.raises(stores.StoreUnavailable, match="s3://voices/a/key"):
        store.read("key")


def test_importing_stores_needs_neither_torch_nor_the_s3_client() -> None:
    program = "import sys, sovits_core.stores; sys.exit(bool({'torch', 'minio', 'urllib3'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
