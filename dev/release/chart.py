"""The chart of a release: its values name the three images by registry and digest."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import yaml

from dev.errors import DevError
from dev.terminal import run

NAME = "voice-operator"
FOLDER = f"charts/{NAME}"


def package(helm: Path, chart: Path, references: Mapping[str, str], folder: Path, *, scratch: Path) -> Path:
    """Write the chart's archive into the folder and return its path.

    Args:
        helm: the program.
        chart: the chart's folder, which stays as it is.
        references: image name (operator, trainer, inference) to `repository@sha256:...`.
        folder: where the archive goes.
        scratch: an empty folder for the copy that names the digests.
    """
    copy = scratch / NAME
    shutil.copytree(chart, copy)
    values = copy / "values.yaml"
    values.write_text(with_digests(values.read_text(), references))
    homes = {f"HELM_{kind}_HOME": str(scratch / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
    run([helm, "package", copy, "--destination", folder], env=homes)
    version = yaml.safe_load((copy / "Chart.yaml").read_text())["version"]
    return folder / f"{NAME}-{version}.tgz"


def with_digests(values: str, references: Mapping[str, str]) -> str:
    """Return values.yaml with the images named by registry, repository and digest; comments stay.

    A mirror of the three images then needs another `images.registry` and nothing else.

    Raises:
        DevError: the images lie in different registries, or values.yaml lacks the lines that this looks for.
    """
    parts = {name: split(reference) for name, reference in references.items()}
    registries = {registry for registry, _, _ in parts.values()}
    if len(registries) != 1:
        raise DevError(f"the images lie in several places: {', '.join(sorted(registries))}", remedy="push them to one")
    text = set_value(values, "  registry", registries.pop())
    for name, (_, repository, digest) in parts.items():
        text = set_value(text, f"  {name}:\n(?:    .*\n)*?    repository", repository)
        text = set_value(text, f"  {name}:\n(?:    .*\n)*?    digest", digest)
    images = yaml.safe_load(text)["images"]
    written = {name: (images["registry"], images[name].get("repository"), images[name].get("digest")) for name in parts}
    if written != parts:
        raise DevError(
            "values.yaml does not take the digests", remedy="keep images.registry, .<name>.repository and .digest"
        )
    return text


def split(reference: str) -> tuple[str, str, str]:
    """Registry with folder, repository, digest of `registry.example.com/voices/operator@sha256:...`."""
    name, _, digest = reference.partition("@")
    registry, _, repository = name.rpartition("/")
    return registry, repository, digest


def set_value(text: str, key: str, value: str) -> str:
    """Replace a value below `images`; the key is a regular expression of the lines that lead to it."""
    line = re.compile(rf"(^images:\n(?:(?:[ #].*)?\n)*?{key}: )(\S+)$", re.MULTILINE)
    return line.sub(lambda found: f"{found[1]}{value}", text, count=1)
