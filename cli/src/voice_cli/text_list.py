"""Whether ``metadata.csv`` fits the clips: by the trainer's reader where it is installed, else by its first rules."""

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

from voice_store import Entry, FolderStore
from voice_store.printable import printable

LIST = "metadata.csv"
LIST_BYTES = 16 << 20
TEXT_CHARACTERS = 1000
SHOWN = 20  # problems; one cause often makes hundreds


def list_problems(path: Path, files: Sequence[str], language: str) -> list[str]:
    """Return what is wrong with the list of a folder, or with clips that it does not name.

    Also what the trainer would tolerate, for the pinned digest covers exactly the list and the clips that it names.
    """
    file = path / LIST
    if not file.is_file() or file.is_symlink() or LIST not in files:
        return []  # said already
    if file.stat().st_size > LIST_BYTES:
        return [f"{LIST} is larger than {LIST_BYTES >> 20} MiB; one line for each clip is enough"]
    found = trainer_problems(path, files, language) if has_trainer() else list(_problems(file, files))
    return [*found[:SHOWN], *([f"and {len(found) - SHOWN} more like these"] if len(found) > SHOWN else [])]


class _Pushed(FolderStore):
    """A folder as it will lie in the object store."""

    def __init__(self, root: Path, keys: Sequence[str]) -> None:
        super().__init__(root)
        self._keys = frozenset(keys)

    def entries(self, prefix: str = "") -> Iterator[Entry]:
        """Yield what is pushed."""
        return (entry for entry in super().entries(prefix) if entry.key in self._keys)


def has_trainer() -> bool:
    """Return whether the trainer's own checks are installed."""
    return find_spec("voice_trainer") is not None


def trainer_problems(path: Path, files: Sequence[str], language: str) -> list[str]:
    """Return what the trainer would refuse of the list and the files' names."""
    # By name: the command line needs no trainer, and uses one that is there.
    from importlib import import_module  # noqa: PLC0415 -- as above

    dataset, errors = import_module("voice_trainer.recordings.dataset"), import_module("voice_trainer.errors")
    digest = import_module("voice_trainer.recordings.fetching").DatasetDigest()
    findings = import_module("voice_trainer.recordings.findings").FindingList()
    try:
        dataset.read_dataset(_Pushed(path, files), digest, findings, language)
    except errors.BadData as error:
        return [str(error)]
    return [str(one.sentence) for one in findings.found if one.severity == "refusal"]


def _problems(file: Path, files: Sequence[str]) -> Iterator[str]:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        yield f"{LIST} is not UTF-8; save it as UTF-8"
        return
    clips = {PurePosixPath(key).stem: key for key in files if key != LIST}
    named: Counter[str] = Counter()
    for number, row in enumerate(csv.reader(io.StringIO(text), delimiter="|", quoting=csv.QUOTE_NONE), start=1):
        if not row or not "".join(row).strip():
            continue
        clip = PurePosixPath(row[0].strip()).name
        clip = clip if clip in clips else PurePosixPath(clip).stem
        named[clip] += 1
        yield from _row_problems(number, row, clip, clips, named[clip])
    for clip, key in clips.items():
        if clip not in named:
            yield f"{printable(key)} has no line in {LIST}; add the line {printable(clip)}|<text> or delete the file"
    if not named:
        yield f"{LIST} has no lines; write one for each clip: id|text"


def _row_problems(number: int, row: list[str], clip: str, clips: dict[str, str], count: int) -> Iterator[str]:
    where = f"{LIST} line {number}"
    if len(row) < 2:
        yield f"{where} has no '|'; write id|text"
        return
    text = row[-1].strip()
    if count > 1:
        yield f"{where} repeats the id {printable(clip)!r}; delete one of the lines"
    if clip not in clips:
        yield f"{where} names {printable(row[0].strip())!r}, but no such file lies in wavs/; add it or delete the line"
    if not text:
        yield f"{where} has no text for {printable(clip)!r}; write what is said in the clip"
    elif len(text) > TEXT_CHARACTERS:
        yield f"{where} has {len(text)} characters, at most {TEXT_CHARACTERS} are taken; cut the clip and its text"
