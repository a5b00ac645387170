"""What every store promises: the same tests on a folder and on a real S3 server."""

import gzip
import uuid
from pathlib import Path

import pytest

from voice_store import (
    AlreadyExists,
    Content,
    DigestMismatch,
    FolderStore,
    InvalidKey,
    NotFound,
    Store,
    TooLarge,
    content_of_file,
    open_store,
)


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        return FolderStore(tmp_path / "bucket")
    return open_store(f"s3://voices/{uuid.uuid4()}", request.getfixturevalue("plain"))


def keys(store: Store, prefix: str = "") -> list[str]:
    return [entry.key for entry in store.list(prefix)]


def test_what_was_written_can_be_read_listed_and_deleted(store: Store) -> None:
    store.write("prepare/clips/a.flac", b"sound")
    store.write("prepare/manifest.json", b"{}", "application/json")
    store.write("train/x", b"")
    store.write("ü/1 2+3&4", b"odd")
    assert store.read("prepare/clips/a.flac") == b"sound"
    assert store.read("ü/1 2+3&4") == b"odd"
    assert store.read("train/x") == b""
    assert keys(store, "prepare/") == ["prepare/clips/a.flac", "prepare/manifest.json"]
    assert keys(store) == ["prepare/clips/a.flac", "prepare/manifest.json", "train/x", "ü/1 2+3&4"]
    assert [entry.size for entry in store.list()] == [5, 2, 0, 3]
    assert all(entry.etag for entry in store.list())
    for key, there in (("train/x", True), ("prepare/manifest.json", True), ("prepare", False), ("nothing/y", False)):
        assert store.exists(key) is there
    store.delete("train/x")
    store.delete("train/x")
    assert not store.exists("train/x")


def test_many_are_deleted_in_order_and_missing_ones_are_fine(store: Store) -> None:
    for key in ("a/1", "a/2", "a/3", "b/1"):
        store.write(key, b"x")
    store.delete_all(())
    store.delete_all(["a/3", "a/none", "a/1", "a/2"])
    assert keys(store) == ["b/1"]


def test_files_travel_both_ways_and_are_read_back(store: Store, tmp_path: Path) -> None:
    (tmp_path / "here").write_bytes(b"1" * 11_000_000)  # more than two parts of a multipart upload
    sent = store.upload_verified("a/b", tmp_path / "here")
    store.download("a/b", tmp_path / "down" / "there")
    assert content_of_file(tmp_path / "down" / "there") == sent == store.content("a/b")
    assert sent.size == 11_000_000
    assert sent.digest == f"sha256:{sent.sha256}"


def test_an_upload_that_arrives_changed_is_noticed(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").write_bytes(b"right")
    monkeypatch.setattr(type(store), "upload", lambda self, key, _: self.write(key, b"wrong"))
    with pytest.raises(DigestMismatch, match="a has the digest sha256:"):
        store.upload_verified("a", tmp_path / "here")


def test_a_missing_object_is_not_found(store: Store, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"nothing/here: there is no such object$"):
        store.read("nothing/here")
    with pytest.raises(NotFound):
        store.download("nothing/here", tmp_path / "x")
    assert not (tmp_path / "x").exists()
    assert store.list("nothing") == ()


def test_a_reader_takes_no_more_than_its_limit(store: Store, tmp_path: Path) -> None:
    store.write("big", b"0" * 11)
    assert len(store.read("big", limit=11)) == 11
    for call in (
        lambda: store.read("big", limit=10),
        lambda: store.content("big", limit=10),
        lambda: store.download("big", tmp_path / "half", limit=10),
    ):
        with pytest.raises(TooLarge, match=r"/big is larger than the 10 bytes"):
            call()
    assert not (tmp_path / "half").exists()


def test_a_listing_is_bounded(store: Store) -> None:
    for number in range(3):
        store.write(f"a/{number}", b"")
    assert len(store.list("a/", limit=3)) == 3
    with pytest.raises(TooLarge, match=r"/a/ holds more than 2 objects; name a narrower prefix"):
        store.list("a/", limit=2)


def test_the_first_creator_wins(store: Store) -> None:
    store.create("a/manifest.json", b"first", "application/json")
    with pytest.raises(AlreadyExists, match=r"a/manifest\.json: it exists already"):
        store.create("a/manifest.json", b"second")
    assert store.read("a/manifest.json") == b"first"
    store.delete("a/manifest.json")
    store.create("a/manifest.json", b"third")
    assert store.read("a/manifest.json") == b"third"


def test_a_neighbour_of_the_prefix_is_not_seen(store: Store) -> None:
    store.write("alice/1/x", b"")
    store.write("alice/10/x", b"")
    assert keys(store, "alice/1/") == ["alice/1/x"]


@pytest.mark.parametrize("key", ["../x", "a/../../x", "/x", "", "a//b", "a/", "./a", "a\\b", "a\nb"])
def test_a_key_that_is_no_plain_path_is_refused_before_anything_is_asked(store: Store, key: str) -> None:
    for call in (store.read, store.exists, lambda key: store.write(key, b""), lambda key: store.create(key, b"")):
        with pytest.raises(InvalidKey):
            call(key)


def test_bytes_are_never_unpacked_on_the_way(store: Store) -> None:
    packed = gzip.compress(b"0" * 1000)
    store.write("a.gz", packed, "application/gzip")
    assert store.read("a.gz") == packed
    assert store.content("a.gz") == Content(store.content("a.gz").sha256, len(packed))


def test_the_bucket_or_folder_is_made_where_there_is_none(plain: dict[str, str], tmp_path: Path) -> None:
    for uri in (f"s3://made-{uuid.uuid4().hex[:8]}", (tmp_path / "made").as_uri()):
        store = open_store(uri, plain)
        store.make_root()
        store.write("a", b"1")
        store.make_root()
        assert keys(store) == ["a"]


def test_the_demo_uploads_only_what_is_new_and_fetches_what_fits(
    plain: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repository: Path
) -> None:
    monkeypatch.syspath_prepend(str(repository))
    from dev.demo import objects  # noqa: PLC0415 -- dev/ is no installed package
    from dev.recordings import Recordings  # noqa: PLC0415

    (tmp_path / "wavs").mkdir()
    (tmp_path / "wavs" / "1.wav").write_bytes(b"RIFF")
    (tmp_path / "metadata.csv").write_text("1|Hello.")
    chosen = Recordings(name="alice", folder=tmp_path, holder="Alice")
    store = open_store(f"s3://voices/{uuid.uuid4()}", plain)
    assert objects.upload(chosen, store) == 2
    assert objects.upload(chosen, store) == 0
    (tmp_path / "metadata.csv").write_text("1|Hello, you.")
    assert objects.upload(chosen, store) == 1
    store.write("large", b"0" * 100)
    monkeypatch.setattr(objects, "LARGEST_FILE", 50)
    fetched = objects.download(store, tmp_path / "down")
    assert [path.relative_to(tmp_path / "down").as_posix() for path in fetched] == ["metadata.csv", "wavs/1.wav"]
    assert (tmp_path / "down" / "metadata.csv").read_text() == "1|Hello, you."
