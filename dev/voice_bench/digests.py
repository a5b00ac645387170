"""Cache keys: a digest of everything that a result depends on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from dev.paths import REPOSITORY

HERE = Path(__file__).parent
EXCLUDED = {"bench", "official", "bases", "__pycache__"}
"""Folders of a member that a voice on a given base does not depend on."""


def text_digest(*parts: str) -> str:
    """Return the hex SHA-256 of texts."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def files_digest(files: Iterable[Path], root: Path) -> str:
    """Return the hex SHA-256 of files and their names below a folder."""
    parts = (f"{path.relative_to(root)} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files)
    return text_digest(*parts)


@cache
def code_digest(*members: str) -> str:
    """Return a digest of all files of workspace members, code and data, that synthesis may depend on."""
    found = (path for member in members for path in sorted((REPOSITORY / member / "src").rglob("*")))
    kept = [path for path in found if path.is_file() and not EXCLUDED & set(path.relative_to(REPOSITORY).parts)]
    return files_digest(kept, REPOSITORY)


@cache
def own_digest(*names: str) -> str:
    """Return a digest of files of this package."""
    return files_digest([HERE / name for name in names], HERE)
