"""The recordings that `make try` and `make demo` take, and the names of their voices."""

from pathlib import Path

import pytest
import soundfile
from dev.errors import DevError
from dev.recordings import SAMPLE, choose, resource_name


def test_without_a_folder_the_sample_recordings_are_taken() -> None:
    chosen = choose(None)
    assert chosen.name == "sample"
    metadata, *clips = chosen.files()
    lines = metadata.read_text(encoding="utf-8").splitlines()
    assert [clip.stem for clip in clips] == [line.split("|")[0] for line in lines]
    assert sum(soundfile.info(clip).duration for clip in clips) > 100, "a voice needs 60 s of speech"


def test_the_sample_recordings_are_small() -> None:
    assert sum(path.stat().st_size for path in SAMPLE.rglob("*")) < 1_500_000


@pytest.mark.parametrize(
    ("folder", "name"),
    [("Alice", "alice"), ("my voice_2", "my-voice-2"), ("2nd", "voice-2nd"), ("声", "voice"), ("a" * 60, "a" * 40)],
)
def test_a_folders_name_becomes_a_resources(folder: str, name: str) -> None:
    assert resource_name(folder) == name


def test_the_users_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "Alice" / "wavs").mkdir(parents=True)
    (tmp_path / "Alice" / "metadata.csv").write_text("one|Good morning.\n")
    (tmp_path / "Alice" / "wavs" / "one.wav").write_bytes(b"RIFF")
    chosen = choose(tmp_path / "Alice")
    assert (chosen.folder, chosen.name) == (tmp_path / "Alice", "alice")


@pytest.mark.parametrize(
    ("files", "taken"),
    [
        (["talk.m4a", "talk.srt", "notes.pdf", ".talk.wav"], ["talk.srt", "talk.m4a"]),
        (["a.list", "out/one.opus", "out/two.opus"], ["a.list", "out/one.opus", "out/two.opus"]),
    ],
)
def test_other_shapes_are_taken_too(tmp_path: Path, files: list[str], taken: list[str]) -> None:
    for name in files:
        (tmp_path / "Alice" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "Alice" / name).write_bytes(b"x")
    chosen = choose(tmp_path / "Alice")
    assert [path.relative_to(tmp_path / "Alice").as_posix() for path in chosen.files()] == taken


@pytest.mark.parametrize(
    ("files", "said"),
    [([], "has no sound file"), (["talk.txt"], "has no sound file"), (["talk.wav"], "no text beside a recording")],
)
def test_a_folder_that_is_no_dataset_is_refused(tmp_path: Path, files: list[str], said: str) -> None:
    for name in files:
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(DevError, match=said):
        choose(tmp_path)
