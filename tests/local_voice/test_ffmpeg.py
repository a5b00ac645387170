"""The trainer finds an ffmpeg on every machine: its own, else the one that a Python package carries."""

import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from dev.errors import DevError
from dev.local_voice.ffmpeg import path_with_ffmpeg


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "wheel" / "ffmpeg-linux-v7"
    path.parent.mkdir()
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_the_machines_own_comes_first(program: Path, tmp_path: Path) -> None:
    program.rename(program.with_name("ffmpeg"))
    assert path_with_ffmpeg(str(program.parent), tmp_path / "bin") == str(program.parent)


def test_without_one_the_packages_is_put_on_the_path(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", SimpleNamespace(get_ffmpeg_exe=lambda: str(program)))
    for _ in range(2):  # a link from before is replaced
        path = path_with_ffmpeg("", tmp_path / "bin")
        assert os.path.samefile(shutil.which("ffmpeg", path=path), program)  # noqa: PTH121


def test_without_either_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(DevError, match="ffmpeg") as error:
        path_with_ffmpeg("", tmp_path / "bin")
    assert "make try" in error.value.remedy
