"""The speakers whose voices are trained: their recordings, and whether they are in the base's training data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dev.errors import DevError
from tiny_base.corpus import RESERVED_SPEAKERS

LJSPEECH = "ljspeech"
NONE = "none"
"""Instead of names: the base alone is measured."""


@dataclass(frozen=True)
class BenchSpeaker:
    """One speaker: a dataset folder (`metadata.csv` and `wavs/`) as a user uploads it."""

    name: str
    folder: Path

    @property
    def seen(self) -> bool:
        """Whether the speaker's recordings are in the base's own training."""
        return self.name not in RESERVED_SPEAKERS

    def clips(self) -> list[Path]:
        """All recordings, by name."""
        return sorted((self.folder / "wavs").iterdir())


def speakers_of(recordings: Path) -> tuple[BenchSpeaker, ...]:
    """Return every speaker of the folder, LJ Speech first.

    Raises:
        DevError: there is none.
    """
    folders = [recordings / LJSPEECH, *sorted((recordings / "librispeech").glob("[0-9]*"), key=lambda one: one.name)]
    found = tuple(BenchSpeaker(folder.name, folder) for folder in folders if (folder / "metadata.csv").is_file())
    if not found:
        raise DevError(
            f"--recordings {recordings}: there is no ljspeech/ or librispeech/<number>/ with a metadata.csv",
            remedy="name the folder that holds them",
        )
    return found


def chosen(speakers: Sequence[BenchSpeaker], names: str) -> tuple[BenchSpeaker, ...]:
    """Return the speakers of a comma-separated list; an empty one means all, and `none` means none.

    Raises:
        DevError: a name is unknown.
    """
    if names == NONE:
        return ()
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    known = {speaker.name: speaker for speaker in speakers}
    if unknown := [name for name in wanted if name not in known]:
        raise DevError(f"--speakers: {unknown[0]!r} is not there", remedy=f"choose among {', '.join(known)}")
    return tuple(known[name] for name in wanted) or tuple(speakers)
