"""`make images` leaves a list and provenance beside the record of each image that was built from today's files."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from dev.errors import DevError
from dev.images import contents
from dev.images import record as records
from dev.images.recipes import RECIPES
from dev.release.__main__ import describe, without_tag


@pytest.fixture
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("VOICE_OPERATOR_CACHE", str(tmp_path))
    return tmp_path


def test_every_built_image_is_described(own_cache: Path, record: dict[str, Any]) -> None:
    image = RECIPES["operator"].read()
    record["contents"]["python"] = record["contents"]["python"][:5]
    records.put(records.folder(image) / "record.json", record | {"tag": image.tag})
    holds, came = describe()
    assert holds.parent == own_cache / "images" / "operator" / image.tag
    assert json.loads(holds.read_text())["bomFormat"] == "CycloneDX"
    assert json.loads(came.read_text())["subject"] == [
        {"name": "voice-operator/operator", "digest": {"sha256": "b" * 64}}
    ]


def test_without_an_image_it_says_what_to_run(own_cache: Path) -> None:
    with pytest.raises(DevError, match=r"no image was built from today's files\n  remedy: make images"):
        describe()


def test_a_record_names_commit_and_changes(tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        who = ["-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
        return subprocess.run(
            ["git", *who, *arguments], cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout

    git("init", "--quiet")
    (tmp_path / "a.txt").write_text("1")
    git("add", ".")
    git("commit", "--quiet", "--message", "one")
    assert records.source(tmp_path) == records.Source(git("rev-parse", "HEAD").strip(), (), "")
    (tmp_path / "a.txt").write_text("2")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "new.txt").touch()
    git("remote", "add", "origin", "https://me:secret@git.example.com/voices.git")
    found = records.source(tmp_path)
    assert (found.changed, found.origin) == (("a.txt", "folder/new.txt"), "https://git.example.com/voices.git")


def test_a_folder_without_git_has_no_commit(tmp_path: Path) -> None:
    assert records.source(tmp_path) == records.Source("", (), "")


def test_records_of_replaced_images_go(own_cache: Path) -> None:
    image = RECIPES["trainer"].read()
    records.write_pushed(image, f"r.example.com/trainer:{image.tag}", f"sha256:{'1' * 64}")
    (records.folder(image).parent / "dev-old").mkdir()
    records.prune(image)
    assert [folder.name for folder in records.folder(image).parent.iterdir()] == [image.tag]


def test_a_tag_is_no_part_of_a_repository() -> None:
    assert without_tag("r.example.com:5000/voices/operator:dev-1") == "r.example.com:5000/voices/operator"
    assert without_tag("r.example.com:5000/operator") == "r.example.com:5000/operator"


def test_the_signed_lists_are_read_as_sha256sum_writes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = tmp_path / "debian-releases.sha256"
    written.write_text(f"{'a' * 64}  ./deb.debian.org_debian_dists_bookworm_InRelease\n")
    monkeypatch.setattr(contents, "RELEASES", written)
    assert contents.signed_lists() == {"deb.debian.org_debian_dists_bookworm_InRelease": "a" * 64}
