"""The files of each image, and the tag that follows from them: same files, same tag, nothing to build."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from dev.cluster.settings import GPU_NODE, MAIN_NODE
from dev.errors import DevError
from dev.images import base
from dev.paths import REPOSITORY

# uv wants to see the whole workspace, whichever member it installs.
WORKSPACE = (
    "pyproject.toml",
    "uv.lock",
    "dev/images/uv.txt",
    "dev/images/build.txt",
    *(
        f"{m}/pyproject.toml"
        for m in ("operator", "trainer", "inference", "sovits_core", "store", "cli", "dev/tiny_base")
    ),
)
LONG_AGO = 1_000_000_000


@dataclass(frozen=True)
class Recipe:
    """One image: the workspace members inside, the nodes that run it, and how long it takes."""

    name: str
    members: tuple[str, ...]
    nodes: tuple[str, ...]
    usually: str

    @property
    def repository(self) -> str:
        """The name without the tag."""
        return f"voice-operator/{self.name}"

    @property
    def dockerfile(self) -> str:
        """How it is built."""
        return f"Dockerfile.{self.name}"

    def read(self) -> Snapshot:
        """Read every file the image is made from, once: somebody may be editing them meanwhile."""
        sources = [path for member in self.members for path in (REPOSITORY / member / "src").rglob("*")]
        kept = [path.relative_to(REPOSITORY) for path in sources if path.is_file() and "__pycache__" not in path.parts]
        files = [Path(self.dockerfile), *(Path(name) for name in WORKSPACE), *sorted(kept)]
        try:
            return Snapshot(self, {file: (REPOSITORY / file).read_bytes() for file in files})
        except FileNotFoundError as error:
            raise DevError(f"{error.filename} is missing", remedy="restore it from git, or run it again") from error


@dataclass(frozen=True)
class Snapshot:
    """An image as the files of this moment make it."""

    recipe: Recipe
    files: Mapping[Path, bytes]

    @cached_property
    def tag(self) -> str:
        """A hash of everything that goes in."""
        digest = hashlib.sha256(base.identity().encode())
        for file, content in self.files.items():
            digest.update(f"{file}\0{len(content)}\0".encode() + content)
        return f"dev-{digest.hexdigest()[:12]}"

    @property
    def reference(self) -> str:
        """The image as manifests name it; another cluster pulls it from its own registry."""
        registry = os.environ.get("IMAGE_REGISTRY", "").rstrip("/") if os.environ.get("CLUSTER") == "existing" else ""
        repository = f"{registry}/{self.recipe.name}" if registry else self.recipe.repository
        return f"{repository}:{self.tag}"

    @property
    def built_name(self) -> str:
        """The image in our own store."""
        return f"localhost/{self.recipe.repository}:{self.tag}"

    @property
    def node_name(self) -> str:
        """The image's full name in a node's runtime; manifests shorten it to `voice-operator/...`."""
        return f"docker.io/{self.recipe.repository}:{self.tag}"

    def stage(self, folder: Path) -> None:
        """Write the files to a build folder, so that nothing else can slip in."""
        shutil.rmtree(folder, ignore_errors=True)
        for file, content in self.files.items():
            target = folder / file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            # A fresh checkout gives every file a new date; layers are looked up by content and date.
            os.utime(target, (LONG_AGO, LONG_AGO))


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("operator", ("store", "operator"), (MAIN_NODE.name,), "30 to 60 s cold, 10 s after a change of code"),
        Recipe(
            "trainer",
            ("store", "sovits_core", "trainer"),
            (MAIN_NODE.name, GPU_NODE.name),
            "5 to 8 minutes cold, 20 s after a change of code",
        ),
        Recipe(
            "inference",
            ("store", "sovits_core", "inference"),
            (MAIN_NODE.name,),
            "1 minute cold, 10 s after a change of code",
        ),
    )
}
