"""Bundles by digest: fetched once, checked to the last byte, and never half there."""

import hashlib
import json
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from voice_store import (
    BundleCache,
    BundleKind,
    CacheUnusable,
    DigestMismatch,
    FolderStore,
    InvalidIndex,
    NotFound,
    Store,
    check_folder,
    open_store,
)

SCHEMA = "example/bundle/v1"
KIND = BundleKind("voices", "manifest.json", SCHEMA, choose=lambda _: ("a.bin", "deep/b.bin"), size_limit=1000)
FILES = {"a.bin": b"first", "deep/b.bin": b"second", "report.html": b"for people"}


def index_of(files: dict[str, bytes]) -> dict[str, Any]:
    listed = {name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)} for name, data in files.items()}
    return {"schema": SCHEMA, "files": listed}


def publish(store: Store, index: Any = None, files: dict[str, bytes] = FILES) -> str:
    """Write the files and an index over them, or another one; returns the digest."""
    for name, data in files.items():
        store.write(name, data)
    document = index if isinstance(index, bytes) else json.dumps(index_of(files) if index is None else index).encode()
    store.write("manifest.json", document)
    return f"sha256:{hashlib.sha256(document).hexdigest()}"


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        return FolderStore(tmp_path / "bundle")
    return open_store(f"s3://voices/{uuid.uuid4()}", request.getfixturevalue("plain"))


@pytest.fixture
def folder(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "bundle")


@pytest.fixture
def cache(tmp_path: Path) -> BundleCache:
    return BundleCache(tmp_path / "cache")


def never() -> Store:
    raise AssertionError("the store was opened")


def left_over(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "cache" / "voices").iterdir())


def test_the_needed_files_are_fetched_and_kept(store: Store, cache: BundleCache) -> None:
    digest = publish(store)
    found = cache.fetch(KIND, lambda: store, digest)
    assert (found / "a.bin").read_bytes() == b"first"
    assert (found / "deep" / "b.bin").read_bytes() == b"second"
    assert not (found / "report.html").exists()
    assert check_folder(found, KIND, digest) == digest == check_folder(found, KIND, "")
    assert cache.fetch(KIND, never, digest) == found


def test_a_damaged_bundle_in_the_cache_is_fetched_again(folder: FolderStore, cache: BundleCache) -> None:
    digest = publish(folder)
    found = cache.fetch(KIND, lambda: folder, digest)
    for damage in (lambda: (found / "a.bin").write_bytes(b"rotten"), (found / "deep" / "b.bin").unlink):
        damage()
        assert cache.fetch(KIND, lambda: folder, digest) == found
        assert check_folder(found, KIND, digest) == digest


def test_another_index_than_promised_is_refused(folder: FolderStore, cache: BundleCache, tmp_path: Path) -> None:
    digest = publish(folder)
    publish(folder, index_of(FILES) | {"revision": "2"})
    with pytest.raises(DigestMismatch, match=f"manifest.json has the digest sha256:.*, expected {digest}; publish it"):
        cache.fetch(KIND, lambda: folder, digest)
    assert left_over(tmp_path) == []


@pytest.mark.parametrize(
    ("change", "error", "sentence"),
    [
        pytest.param({"a.bin": b"f1rst"}, DigestMismatch, "a.bin has the digest", id="another byte"),
        pytest.param({"a.bin": b"first and more"}, InvalidIndex, "a.bin is larger than the 5 bytes", id="more bytes"),
        pytest.param({"a.bin": b"firs"}, DigestMismatch, "a.bin has the digest", id="fewer bytes"),
    ],
)
def test_a_file_that_is_not_the_promised_one_is_refused(
    folder: FolderStore,
    cache: BundleCache,
    tmp_path: Path,
    *,
    change: dict[str, bytes],
    error: type[Exception],
    sentence: str,
) -> None:
    digest = publish(folder)
    for name, data in change.items():
        folder.write(name, data)
    with pytest.raises(error, match=sentence):
        cache.fetch(KIND, lambda: folder, digest)
    assert left_over(tmp_path) == []


def test_a_file_that_is_missing_is_named(folder: FolderStore, cache: BundleCache, tmp_path: Path) -> None:
    digest = publish(folder)
    folder.delete("deep/b.bin")
    with pytest.raises(NotFound, match=r"/deep/b\.bin: there is no such object"):
        cache.fetch(KIND, lambda: folder, digest)
    assert left_over(tmp_path) == []


GOOD = index_of(FILES)


@pytest.mark.parametrize(
    ("index", "sentence"),
    [
        pytest.param(b"{", "is no JSON", id="half a document"),
        pytest.param(b"\xff", "is no JSON", id="no text"),
        pytest.param(b"[" * 100_000, "is no JSON", id="nested too deep"),
        pytest.param([], "is no JSON object", id="a list"),
        pytest.param({}, "schema is 'None', this program reads example/bundle/v1", id="nothing"),
        pytest.param(GOOD | {"schema": "example/bundle/v2"}, "schema is 'example/bundle/v2'", id="a later schema"),
        pytest.param(GOOD | {"files": []}, "files must be an object", id="files is a list"),
        pytest.param(GOOD | {"files": {}}, "files: a.bin is not listed, and it is needed", id="no files"),
        pytest.param(GOOD | {"files": {"../x": {}}}, "files: '../x' is no key", id="a name that leaves the bundle"),
        pytest.param(GOOD | {"files": {"/x": {}}}, "files: '/x' is no key", id="an absolute name"),
        pytest.param(GOOD | {"files": {"a.bin": None}}, "a.bin.sha256 must have 64", id="no entry"),
        pytest.param(
            GOOD | {"files": {"a.bin": {"sha256": "A" * 64, "size": 1}}}, "sha256 must have 64", id="capitals"
        ),
        pytest.param(GOOD | {"files": {"a.bin": {"sha256": "a" * 64}}}, "size must be a number", id="no size"),
        pytest.param(GOOD | {"files": {"a.bin": {"sha256": "a" * 64, "size": -1}}}, "size must be", id="size below 0"),
        pytest.param(GOOD | {"files": {"a.bin": {"sha256": "a" * 64, "size": True}}}, "size must be", id="size true"),
        pytest.param(GOOD | {"files": {"a.bin": {"sha256": "a" * 64, "size": 1e3}}}, "size must be", id="size float"),
        pytest.param(
            GOOD | {"files": GOOD["files"] | {"a.bin": {"sha256": "a" * 64, "size": 10**12}}},
            "bytes, at most 1000 are allowed for voices",
            id="too large",
        ),
    ],
)
def test_an_index_that_is_none_is_refused_with_the_field(
    folder: FolderStore, cache: BundleCache, tmp_path: Path, *, index: Any, sentence: str
) -> None:
    digest = publish(folder, index)
    with pytest.raises(InvalidIndex) as caught:
        cache.fetch(KIND, lambda: folder, digest)
    assert sentence in str(caught.value)
    assert "manifest.json" in str(caught.value) or "too large" in sentence or "at most" in sentence
    assert left_over(tmp_path) == []


@pytest.mark.parametrize("digest", ["", "sha256:", "sha256:" + "g" * 64, "../../etc", "sha256:../" + "a" * 61])
def test_a_digest_that_is_none_is_refused_before_anything_is_touched(
    cache: BundleCache, tmp_path: Path, digest: str
) -> None:
    with pytest.raises(InvalidIndex, match="is no digest of a bundle"):
        cache.fetch(KIND, never, digest)
    assert not (tmp_path / "cache").exists()


def test_many_threads_fetch_one_bundle(folder: FolderStore, cache: BundleCache, tmp_path: Path) -> None:
    digest, found = publish(folder), []
    fetch: Callable[[], None] = lambda: found.append(cache.fetch(KIND, lambda: folder, digest))  # noqa: E731
    threads = [threading.Thread(target=fetch) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert left_over(tmp_path) == [found[0]]


def test_what_is_not_wanted_any_more_goes(folder: FolderStore, cache: BundleCache, tmp_path: Path) -> None:
    first = publish(folder)
    cache.fetch(KIND, lambda: folder, first)
    second = publish(folder, index_of(FILES) | {"revision": "2"})
    kept = cache.fetch(KIND, lambda: folder, second)
    cache.keep_only(KIND, {second})
    assert left_over(tmp_path) == [kept]


def test_a_cache_that_cannot_be_written_names_the_remedy(folder: FolderStore, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("")
    with pytest.raises(CacheUnusable, match=r"cannot be used: .*; free space or correct its owner"):
        BundleCache(tmp_path / "cache").fetch(KIND, lambda: folder, publish(folder))
