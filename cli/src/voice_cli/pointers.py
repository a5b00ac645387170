"""Files that only say where a recording lies: Git LFS and DVC leave them in a checkout that was not filled."""

from pathlib import Path

from voice_store.printable import printable

LFS_BEGIN = b"version https://git-lfs.github.com/spec/"
POINTER_BYTES = 1024  # no pointer is larger


def pointer_problem(file: Path, key: str) -> str:
    """Return the sentence about a pointer, with what fetches the recording; empty: it is no pointer."""
    name = printable(key)
    if key.endswith(".dvc"):
        return f"{name} is a DVC pointer and the recordings are not here; run `dvc pull {name}`"
    if file.stat().st_size > POINTER_BYTES:
        return ""
    if file.read_bytes().startswith(LFS_BEGIN):
        return f"{name} is a Git LFS pointer, not the recording; run `git lfs pull` (in a pipeline: check out with lfs)"
    return ""
