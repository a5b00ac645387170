"""The recordings that a voice is trained from: a folder of the user's, or the sample recordings of this repository."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dev.errors import DevError
from dev.paths import REPOSITORY
from voice_trainer.recordings.dataset import LISTS, TEXTS
from voice_trainer.recordings.names import is_sound

SAMPLE = REPOSITORY / "examples" / "sample-voice"
WRITTEN = {".list", *TEXTS, *(Path(name).suffix for name in LISTS)}  # extensions of lists and texts
FORM = "a dataset is metadata.csv (lines `id|text`) and wavs/<id>.wav, or another shape that docs/recordings.md shows"
NAME_LENGTH = 40


@dataclass(frozen=True)
class Recordings:
    """A dataset folder, the voice's name and its speaker."""

    folder: Path
    name: str
    holder: str

    def files(self) -> list[Path]:
        """Everything that may belong to the dataset: lists and texts first, then sounds, by name."""
        return sorted(_files(self.folder), key=lambda path: (is_sound(path.name), path))


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
    files = list(_files(folder))
    if not any(is_sound(path.name) for path in files):
        raise DevError(f"VOICE={folder} has no sound file", remedy=FORM)
    written = [path for path in files if not is_sound(path.name)]
    if not written:
        raise DevError(f"VOICE={folder} has no {LISTS[0]}, and no text beside a recording", remedy=FORM)
    if not any(path.stat().st_size for path in written):
        raise DevError(f"VOICE={folder}: {written[0].relative_to(folder)} is empty", remedy=FORM)


def _files(folder: Path) -> Iterator[Path]:
    """Yield sounds, lists and texts; as the trainer's store, without what is hidden, and without links."""
    for path in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        wanted = is_sound(path.name) or path.suffix.lower() in WRITTEN
        if wanted and not hidden and path.is_file() and not path.is_symlink():
            yield path
