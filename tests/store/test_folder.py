"""The folder store: what is promised of every store, and that nothing outside of the folder is touched."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

import voice_store
from voice_store import AccessDenied, AlreadyExists, FolderStore, InvalidKey, InvalidUri, NotFound, TooLarge, open_store


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "bucket")


def test_names_that_start_with_a_dot_are_no_objects(store: FolderStore) -> None:
    store.write("a", b"1")
    (store.root / ".hidden").mkdir()
    (store.root / ".hidden" / "x").write_bytes(b"1")
    (store.root / ".a.part").write_bytes(b"1")
    assert [entry.key for entry in store.list()] == ["a"]


def test_a_listing_walks_no_further_than_its_prefix(store: FolderStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("clips/1", "clips/deep/2", "clipsy/3", "other/4"):
        store.write(key, b"")
    assert [entry.key for entry in store.list("clips/")] == ["clips/1", "clips/deep/2"]
    assert [entry.key for entry in store.list("clips")] == ["clips/1", "clips/deep/2", "clipsy/3"]
    assert [entry.key for entry in store.list("clips/d")] == ["clips/deep/2"]
    assert store.list("nothing/here") == ()
    (store.root / "other").chmod(0)
    assert [entry.key for entry in store.list("clips/")] == ["clips/1", "clips/deep/2"]
    (store.root / "other").chmod(0o700)
    with pytest.raises(InvalidKey):
        store.list("../")


def test_the_tag_changes_with_the_content(store: FolderStore) -> None:
    store.write("a", b"1")
    first = store.list()[0]
    store.write("a", b"2")
    assert store.list()[0] != first


def test_folders_that_are_empty_go_with_their_last_object(store: FolderStore) -> None:
    store.write("a/b/c", b"1")
    store.write("a/x", b"1")
    store.delete("a/b/c")
    assert not (store.root / "a" / "b").exists()
    assert (store.root / "a" / "x").exists()
    store.delete("a/x")
    assert store.root.is_dir()
    assert not list(store.root.iterdir())


def test_a_link_that_leads_out_of_the_folder_is_refused(store: FolderStore, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret")
    store.root.mkdir()
    (store.root / "out").symlink_to(tmp_path)
    for call in (store.read, store.exists, store.delete, lambda key: store.write(key, b"")):
        with pytest.raises(InvalidKey, match="leads out of"):
            call("out/secret")
    assert store.list() == ()
    assert (tmp_path / "secret").read_text() == "s3cret"


def test_of_many_creators_one_wins(store: FolderStore) -> None:
    results: list[str] = []
    start = threading.Barrier(8)

    def create(number: int) -> None:
        start.wait()
        try:
            store.create("a/manifest.json", str(number).encode())
            results.append(str(number))
        except AlreadyExists:
            pass

    threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 1
    assert store.read("a/manifest.json").decode() == results[0]
    assert [path.name for path in (store.root / "a").iterdir()] == ["manifest.json"]


def test_a_reader_that_gives_up_leaves_nothing_behind(store: FolderStore, tmp_path: Path) -> None:
    store.write("big", b"0" * 11)
    with pytest.raises(TooLarge):
        store.download("big", tmp_path / "half", limit=10)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bucket"]


def test_a_folder_that_may_not_be_written_names_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(voice_store.StoreError, match=r"file:///.*/file/a: .*; check the folder's file system"):
        FolderStore(tmp_path / "file").write("a", b"")


def test_a_folder_without_permission_names_the_remedy(store: FolderStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.write("a", b"1")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(store.root / "a"))

    monkeypatch.setattr(Path, "open", refuse)  # root, who runs the tests in CI, is refused nothing
    with pytest.raises(AccessDenied, match=r"Permission denied.*; change the owner or the mode of the folder"):
        store.read("a")


def test_a_folder_opens_by_uri(tmp_path: Path) -> None:
    store = open_store((tmp_path / "with space").as_uri(), {"AWS_REGION": "not relevant for a folder!"})
    store.write("a", b"1")
    assert (tmp_path / "with space" / "a").read_bytes() == b"1"
    assert open_store(store.uri).read("a") == b"1"
    with pytest.raises(NotFound, match=r"^file:///.*/with%20space/b: there is no such object|does not exist$"):
        store.read("b")


def test_another_scheme_is_refused() -> None:
    with pytest.raises(InvalidUri, match=r"use s3://bucket/prefix or file:///absolute/folder$"):
        open_store("gs://bucket/x")


def test_importing_the_store_needs_neither_torch_nor_the_s3_client() -> None:
    program = "import sys, voice_store; voice_store.open_store('file:///srv'); print(sorted(sys.modules))"
    listed = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert not [name for name in ("torch", "minio", "urllib3", "certifi") if f"'{name}'" in listed]
