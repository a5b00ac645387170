"""The recordings that `make try` and `make demo` take, and the names of their voices."""

from pathlib import Path

import pytest
import soundfile
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
