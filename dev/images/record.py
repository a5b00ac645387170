"""What is known of a built image: the sources it came from, the base below it, what is inside, where it was pushed.

Written when it is built, beside the image store, as plain JSON: `make images` and a release describe the image from it.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dev.images import base, buildah, contents, debian_source
from dev.images.recipes import Snapshot
from dev.paths import REPOSITORY, cache
from dev.terminal import step


@dataclass(frozen=True)
class Source:
    """The repository that an image or a release was made from."""

    commit: str
    """Empty where the files are no git work tree."""
    changed: tuple[str, ...]
    """Paths that differ from the commit, new ones included."""
    origin: str
    """The address of the remote named origin, without user and password; empty without one."""


def source(repository: Path = REPOSITORY) -> Source:
    """Read the repository's state."""
    changed = git(repository, "status", "--porcelain", "--no-renames", "--untracked-files=all").splitlines()
    return Source(
        git(repository, "rev-parse", "HEAD").strip(),
        tuple(line[3:] for line in changed),
        re.sub(r"://[^@/]*@", "://", git(repository, "config", "--get", "remote.origin.url").strip()),
    )


def git(repository: Path, *arguments: str) -> str:
    """A git command's output; empty where it fails: no repository, no commit, no remote."""
    command = ["git", "-C", str(repository), *arguments]
    try:
        return subprocess.run(command, check=False, capture_output=True, text=True).stdout
    except FileNotFoundError:
        return ""


def folder(image: Snapshot) -> Path:
    """Where the record of this image lies, and the documents made from it."""
    return cache() / "images" / image.recipe.name / image.tag


def write(image: Snapshot, *, started: datetime, finished: datetime) -> None:
    """Look into a built image and write down what is known of it."""
    with step(f"listing what {image.recipe.name} holds", "3 s"):
        inside = buildah.python_inside(image.built_name, Path(contents.__file__).read_text())
        found = source()
        document = {
            "image": image.recipe.name,
            "tag": image.tag,
            "config_digest": buildah.config_digest(image.built_name),
            "started": stamp(started),
            "finished": stamp(finished),
            "source": {"commit": found.commit, "changed": list(found.changed), "origin": found.origin},
            "files": {str(path): sha256(content) for path, content in image.files.items()},
            "base": {"name": base.identity(), "config_digest": buildah.config_digest(base.identity())},
            "debian_snapshot": debian_source.wanted(),
            "builder": buildah.version(),
            "contents": json.loads(inside),
        }
        put(folder(image) / "record.json", document)


def write_pushed(image: Snapshot, reference: str, digest: str) -> None:
    """Write down under which name and digest a registry has the image."""
    put(folder(image) / "pushed.json", {"reference": reference, "digest": digest})


def prune(image: Snapshot) -> None:
    """Remove the records of images that this one replaced."""
    for other in folder(image).parent.iterdir():
        if other.name != image.tag:
            shutil.rmtree(other, ignore_errors=True)


def exists(image: Snapshot) -> bool:
    """Whether this image was looked into."""
    return (folder(image) / "record.json").exists()


def put(path: Path, document: Mapping[str, Any]) -> None:
    """Write a document; it appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(document, indent=1) + "\n")
    unfinished.replace(path)


def stamp(moment: datetime) -> str:
    """A moment as RFC 3339 in UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def sha256(content: bytes) -> str:
    """The digest in hexadecimal."""
    return hashlib.sha256(content).hexdigest()
