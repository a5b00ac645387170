"""A folder is refused with everything that is wrong, before anything leaves the machine."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from tests.cli.conftest import make_folder

from voice_cli import text_list
from voice_cli.dataset import dataset_of, folder_uri
from voice_cli.errors import FolderRefused, UsageError
from voice_cli.voice_folder import read_folder
from voice_store import FolderStore
from voice_trainer.recordings.fetching import DatasetDigest

LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 128000\n"


@pytest.fixture(params=["trainer", "alone"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A good folder; with the trainer beside the command line, and without."""
    monkeypatch.setattr(text_list, "has_trainer", lambda: request.param == "trainer")
    return make_folder(tmp_path / "alice")


def problems(folder: Path) -> tuple[str, ...]:
    with pytest.raises(FolderRefused) as caught:
        read_folder(folder)
    return caught.value.problems


def test_a_good_folder_has_the_digest_that_the_trainer_computes(folder: Path) -> None:
    found = read_folder(folder)
    dataset, expected = dataset_of(folder, found.files), DatasetDigest()
    for key in found.files:
        expected.add_bytes(key, FolderStore(folder).read(key))
    assert (found.name, found.seconds, len(found.files)) == ("alice", 64.0, 9)
    assert dataset.digest == expected.value()


def test_hidden_files_and_pulled_dvc_pointers_are_no_recordings(folder: Path) -> None:
    (folder / "wavs" / ".DS_Store").write_text("x")
    (folder / "wavs" / "000.wav.dvc").write_text("outs: []\n")
    assert len(read_folder(folder).files) == 9


def _manifest(folder: Path, **change: object) -> None:
    document = yaml.safe_load((folder / "voice.yaml").read_text())
    (folder / "voice.yaml").write_text(yaml.safe_dump(document | change))


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "no manifest": (lambda folder: (folder / "voice.yaml").unlink(), "voice.yaml is missing"),
    "no YAML": (lambda folder: (folder / "voice.yaml").write_text("a: [b"), "voice.yaml is no YAML"),
    "another kind": (lambda folder: _manifest(folder, kind="Pod"), "write voice.sovits.dev/v1alpha1 and VoiceModel"),
    "another name": (lambda folder: _manifest(folder, metadata={"name": "bob"}), "make them the same"),
    "a digest": (
        lambda folder: _manifest(folder, spec={"language": "en", "dataset": {"digest": "sha256:1"}}),
        "spec.dataset.digest is filled in by push",
    ),
    "no list": (lambda folder: (folder / "metadata.csv").unlink(), "metadata.csv is missing"),
    "no clip for a line": (lambda folder: (folder / "wavs" / "003.wav").unlink(), "'003'"),
    "no line for a clip": (
        lambda folder: shutil.copy(folder / "wavs" / "003.wav", folder / "wavs" / "999.wav"),
        "has no line in metadata.csv; add the line 999|<text>",
    ),
    "no text": (lambda folder: (folder / "metadata.csv").write_text("000|\n"), "has no text for '000'"),
    "a list in another encoding": (
        lambda folder: (folder / "metadata.csv").write_bytes(b"000|\xff\xfe\x00\x81\n"),
        "metadata.csv",
    ),
    "a Git LFS pointer": (
        lambda folder: (folder / "wavs" / "001.wav").write_text(LFS),
        "wavs/001.wav is a Git LFS pointer, not the recording; run `git lfs pull`",
    ),
    "a DVC pointer": (
        lambda folder: (folder / "wavs" / "001.wav").rename(folder / "wavs" / "001.wav.dvc"),
        "run `dvc pull wavs/001.wav.dvc`",
    ),
    "a link": (
        lambda folder: (folder / "wavs" / "zz.wav").symlink_to("/etc/passwd"),
        "wavs/zz.wav is a link; put the file itself there",
    ),
    "a link to a folder": (
        lambda folder: (
            (folder / "wavs").rename(folder.parent / "elsewhere"),
            (folder / "wavs").symlink_to(folder.parent / "elsewhere"),
        ),
        "wavs is a link",
    ),
    "a manifest that grows": (
        lambda folder: (folder / "voice.yaml").write_text("a: &a [x]\nb: [*a, *a]\n"),
        "refers to parts of itself",
    ),
    "an empty file": (lambda folder: (folder / "wavs" / "002.wav").write_bytes(b""), "wavs/002.wav is empty"),
}


@pytest.mark.parametrize(("broken", "said"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_folder_says_what_is_wrong(folder: Path, broken: Callable[[Path], object], said: str) -> None:
    broken(folder)
    assert [problem for problem in problems(folder) if said in problem], problems(folder)


def test_too_little_sound_is_told_before_the_cluster_is_asked(tmp_path: Path) -> None:
    found = problems(make_folder(tmp_path / "mute", clips=3))
    assert found == ("wavs/ has 24 s of sound; at least 60 s of speech are needed: record more",)


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "Bad_Name")
    (folder / "wavs" / "001.wav").write_text(LFS)
    (folder / "wavs" / "002.wav").write_bytes(b"")
    assert len(problems(folder)) == 3


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("s3://voices/datasets/{namespace}", "s3://voices/datasets/studio/alice/"),
        ("s3://voices/datasets/{namespace}/{voice}/", "s3://voices/datasets/studio/alice/"),
        ("s3://voices/datasets/studio/alice", "s3://voices/datasets/studio/alice/"),
    ],
)
def test_recordings_lie_in_a_folder_of_their_digest(prefix: str, expected: str) -> None:
    assert folder_uri(prefix, "studio", "alice", "sha256:" + "a" * 64) == expected + "a" * 32


@pytest.mark.parametrize("prefix", ["voices/datasets", "https://voices", "s3://voices/{team}"])
def test_a_prefix_that_is_none_is_refused(prefix: str) -> None:
    with pytest.raises(UsageError, match="is no prefix of recordings"):
        folder_uri(prefix, "studio", "alice", "sha256:" + "a" * 64)
