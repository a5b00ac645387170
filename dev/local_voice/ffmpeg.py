"""The trainer's ffmpeg where the machine has none: the static one of a PyPI wheel, which needs no root."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path

from dev.errors import DevError


def path_with_ffmpeg(path: str, folder: Path) -> str:
    """Return a PATH on which the trainer finds `ffmpeg`: the given one, or that and `folder` with a link.

    Raises:
        DevError: there is no ffmpeg, neither the machine's nor the wheel's.
    """
    if shutil.which("ffmpeg", path=path):
        return path
    try:
        binary = Path(importlib.import_module("imageio_ffmpeg").get_ffmpeg_exe())
    except (ImportError, RuntimeError) as error:
        raise DevError(
            "ffmpeg is not installed, and the Python package imageio-ffmpeg, which carries one, is not either",
            remedy="run it as `make try`, which installs the package, or install ffmpeg",
        ) from error
    folder.mkdir(parents=True, exist_ok=True)
    link = folder / "ffmpeg"
    link.unlink(missing_ok=True)
    link.symlink_to(binary)
    return f"{folder}:{path}"
