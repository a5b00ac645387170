"""Choose the recordings: the folder that was asked for, the reader beside the project, or speech made on the spot."""

import csv
import subprocess
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
READER = REPOSITORY.parent / "shared" / "data" / "ljspeech"
SAMPLE = REPOSITORY / "examples" / "sample-voice" / "metadata.csv"


class RecordingsError(Exception):
    """The recordings cannot be used; the message says which and what to do."""


@dataclass(frozen=True)
class Recordings:
    """A dataset folder (`metadata.csv` and `wavs/`) and what the voice is to be called."""

    folder: Path
    name: str
    holder: str

    def files(self) -> list[Path]:
        """Everything that belongs to the dataset: the transcripts first, then the clips by name."""
        return [self.folder / "metadata.csv", *sorted(p for p in (self.folder / "wavs").iterdir() if p.is_file())]


def choose(asked: Path | None, made_in: Path) -> Recordings:
    """Return the recordings to use.

    Raises:
        RecordingsError: the folder that was asked for is not a dataset, or flite is needed and fails.
    """
    if asked is not None:
        _require_dataset(asked)
        return Recordings(asked, _resource_name(asked.resolve().name), "the speaker of " + asked.name)
    if (READER / "metadata.csv").is_file():
        return Recordings(READER, "ljspeech", "LJ Speech reader (public domain)")
    return Recordings(_speak_sample(made_in / "sample-voice"), "sample", "flite's voice slt")


def _require_dataset(folder: Path) -> None:
    for part in ("metadata.csv", "wavs"):
        if not (folder / part).exists():
            raise RecordingsError(
                f"VOICE={folder} has no {part}: a dataset is metadata.csv (lines `id|text`) and wavs/<id>.wav"
            )


def _resource_name(folder_name: str) -> str:
    """Turn a folder's name into a resource's: lower-case letters, digits and dashes, at most 40 characters."""
    cleaned = "".join(c if c.isascii() and c.isalnum() else "-" for c in folder_name.lower()).strip("-")[:40].strip("-")
    return cleaned or "voice"


def _speak_sample(folder: Path) -> Path:
    """Speak the sample sentences with flite into a dataset folder; existing clips are kept."""
    wavs = folder / "wavs"
    wavs.mkdir(parents=True, exist_ok=True)
    with SAMPLE.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.reader(lines, delimiter="|", quoting=csv.QUOTE_NONE))
    for clip, text in rows:
        target = wavs / f"{clip}.wav"
        if target.is_file():
            continue
        unfinished = target.with_suffix(".part")
        try:
            subprocess.run(
                ["flite", "-voice", "slt", "-t", text, "-o", str(unfinished)], check=True, capture_output=True
            )
        except (OSError, subprocess.CalledProcessError) as error:
            raise RecordingsError(f"flite could not speak {clip!r}: {error}; install it with `make setup`") from error
        unfinished.rename(target)
    (folder / "metadata.csv").write_bytes(SAMPLE.read_bytes())
    return folder
