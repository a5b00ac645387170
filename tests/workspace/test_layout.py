"""The layout keeps its promises: nothing hides the standard library, and each member imports only what it may."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest


def fresh_python(code: str, *, cwd: Path) -> str:
    """Run code in an interpreter that has imported nothing of ours, with the working directory first on its path."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONSAFEPATH"}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=cwd,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


def test_the_operator_folder_does_not_hide_the_standard_library(repository: Path) -> None:
    # operator is a frozen or early import, so its location is asked for by name, as a fresh import would find it.
    code = "import importlib.machinery as m, sys; print(m.PathFinder.find_spec('operator', ['', *sys.path]).origin)"
    origin = fresh_python(code, cwd=repository)
    assert origin.endswith("operator.py")
    assert not origin.startswith(str(repository / "operator"))


def test_operator_and_tests_hold_no_package_marker_of_their_own(repository: Path) -> None:
    assert not (repository / "operator" / "__init__.py").exists()
    assert not list((repository / "tests").rglob("__init__.py"))


@pytest.mark.parametrize("member", ["voice_operator", "voice_inference", "voice_trainer", "voice_cli", "sovits_core"])
def test_a_member_starts_without_torch(member: str, repository: Path) -> None:
    # The operator and the server never need it; the trainer's first stage and its --help should not wait for it.
    code = f"import sys, importlib; importlib.import_module('{member}.__main__'); print('torch' in sys.modules)"
    assert fresh_python(code, cwd=repository / "docs") == "False"


def test_no_file_names_a_machine_of_ours(repository: Path) -> None:
    # Paths of one machine work nowhere else; the pattern is put together so that this file does not match itself.
    pattern = re.compile("(?<![A-Za-z0-9_.])/(" + "|".join(["work/main", "ro" + "ot/", "ho" + "me/[a-z]+/"]) + ")")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=repository, check=True, capture_output=True, text=True
    ).stdout
    offenders = []
    for name in filter(None, listed.split("\0")):
        path = repository / name
        if path.suffix in {".md", ".py", ".yaml", ".yml", ".toml", ".json", ".sh", ""} and path.is_file():
            offenders += [name] if pattern.search(path.read_text(encoding="utf-8", errors="replace")) else []
    assert offenders == []
