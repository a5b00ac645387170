"""The readers whose voices are trained: where their recordings are, and whether the base has heard them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dev.errors import DevError
from tiny_base.corpus import RESERVED_READERS

LJSPEECH = "ljspeech"
NONE = "none"
"""Instead of names: only the base is measured."""


@dataclass(frozen=True)
class Reader:
    """One speaker: a dataset folder (`metadata.csv` and `wavs/`) as a user would upload it."""

    name: str
    folder: Path

    @property
    def seen(self) -> bool:
        """Whether the speaker's recordings are in the base's own training."""
        return self.name not in RESERVED_READERS

    def clips(self) -> list[Path]:
        """All recordings, by name."""
        return sorted((self.folder / "wavs").iterdir())


def readers_of(recordings: Path) -> tuple[Reader, ...]:
    """Return every reader of the folder, LJ Speech first.

    Raises:
        DevError: there is none.
    """
    folders = [recordings / LJSPEECH, *sorted((recordings / "librispeech").glob("[0-9]*"), key=lambda one: one.name)]
    found = tuple(Reader(folder.name, folder) for folder in folders if (folder / "metadata.csv").is_file())
    if not found:
        raise DevError(
            f"--recordings {recordings}: there is no ljspeech/ or librispeech/<number>/ with a metadata.csv",
            remedy="name the folder that holds them",
        )
    return found


def chosen(readers: Sequence[Reader], names: str) -> tuple[Reader, ...]:
    """Return the readers of a comma-separated list; an empty one means all, and `none` means none.

    Raises:
        DevError: a name is unknown.
    """
    if names == NONE:
        return ()
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    known = {reader.name: reader for reader in readers}
    if unknown := [name for name in wanted if name not in known]:
        raise DevError(f"--readers: {unknown[0]!r} is not there", remedy=f"choose among {', '.join(known)}")
    return tuple(known[name] for name in wanted) or tuple(readers)
