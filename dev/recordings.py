"""The recordings that a voice is trained from: a folder of the user's, or the sample recordings of this repository."""

from dataclasses import dataclass
from pathlib import Path

from dev.errors import DevError
from dev.paths import REPOSITORY

SAMPLE = REPOSITORY / "examples" / "sample-voice"
METADATA, CLIPS = "metadata.csv", "wavs"
FORM = f"a dataset is {METADATA} (lines `id|text`) and {CLIPS}/<id>.wav; see docs/recordings.md"
NAME_LENGTH = 40


@dataclass(frozen=True)
class Recordings:
    """A dataset folder (`metadata.csv` and `wavs/`), the voice's name and its speaker."""

    folder: Path
    name: str
    holder: str

    def files(self) -> list[Path]:
        """Everything that belongs to the dataset: the transcripts first, then the clips by name."""
        return [self.folder / METADATA, *sorted(p for p in (self.folder / CLIPS).iterdir() if p.is_file())]


def choose(folder: Path | None) -> Recordings:
    """Return the recordings in `folder`, or the sample recordings where none is named.

    Raises:
        DevError: the folder is not a dataset; what is wrong inside the files is for the trainer to say.
    """
    if folder is None:
        return Recordings(SAMPLE, "sample", "flite's voice slt")
    _require_dataset(folder)
    name = folder.resolve().name
    return Recordings(folder.absolute(), resource_name(name), f"the speaker of {name}")


def resource_name(folder_name: str) -> str:
    """Return a folder's name as a resource's: a letter, then letters, digits and dashes, at most 40 characters."""
    cleaned = "".join(c if c.isascii() and c.isalnum() else "-" for c in folder_name.lower()).strip("-")
    if not cleaned[:1].isalpha():
        cleaned = f"voice-{cleaned}"
    return cleaned[:NAME_LENGTH].strip("-")


def _require_dataset(folder: Path) -> None:
    if not folder.is_dir():
        state = "is a file, not a folder" if folder.exists() else "does not exist"
        raise DevError(f"VOICE={folder} {state}", remedy=FORM)
    metadata, clips = folder / METADATA, folder / CLIPS
    if not metadata.is_file() or not clips.is_dir():
        missing = METADATA if not metadata.is_file() else f"{CLIPS}/"
        raise DevError(f"VOICE={folder} has no {missing}", remedy=FORM)
    if not metadata.stat().st_size or not any(clips.iterdir()):
        empty = f"{CLIPS}/" if metadata.stat().st_size else METADATA
        raise DevError(f"VOICE={folder}: {empty} is empty", remedy=FORM)
