"""The Python image that ours start from: the one PYTHON_IMAGE names, or one made from Debian's packages."""

from __future__ import annotations

import hashlib
import os

from dev import debian
from dev.images import buildah, debian_source
from dev.images.debian_source import SUITE
from dev.paths import cache, exclusive_lock
from dev.terminal import run_long, step

PACKAGES = ("python3", "python3-venv", "ca-certificates")
NOT_NEEDED = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*")
KEPT = ("/usr/share/doc/*/copyright",)  # licences ask to travel with what they license
# The signed lists that the packages were chosen from, by digest; they themselves do not stay.
NAME_THE_LISTS = '(cd "$1/var/lib/apt/lists" && sha256sum ./*Release) > "$1/etc/debian-releases.sha256"'


def identity() -> str:
    """Changes when the base does."""
    return os.environ.get("PYTHON_IMAGE") or local_name()


def local_name() -> str:
    """The image made here; its name changes with the recipe."""
    source = debian_source.lines(debian_source.wanted())
    recipe = "\n".join((SUITE, "no recommends", *PACKAGES, *NOT_NEEDED, *KEPT, NAME_THE_LISTS, *source))
    return f"localhost/voice-operator/python:3.11-{SUITE}-{hashlib.sha256(recipe.encode()).hexdigest()[:8]}"


def ensure() -> str:
    """Return the name of an image with Python, made or pulled now if need be."""
    debian.ensure(debian.IMAGES)
    chosen = os.environ.get("PYTHON_IMAGE")
    if chosen:
        if not buildah.exists(chosen):
            buildah.pull(chosen, cache() / "logs" / "base-image.log")
        return chosen
    with exclusive_lock(cache() / "locks" / "base-image", "making the Python base image"):
        return make(local_name())


def make(name: str) -> str:
    """Make the base image, unless our store has it."""
    if buildah.exists(name):
        return name
    archive = cache() / "base" / f"{name.rpartition(':')[2]}.tar"
    archive.parent.mkdir(parents=True, exist_ok=True)
    command = ["mmdebstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}"]
    command += ["--aptopt=Apt::Install-Recommends false"]
    command += ["--aptopt=Acquire::Retries 5"]
    command += [f"--dpkgopt=path-exclude={pattern}" for pattern in NOT_NEEDED]
    command += [f"--dpkgopt=path-include={pattern}" for pattern in KEPT]
    command += [f"--customize-hook={NAME_THE_LISTS}"]
    sources = debian_source.lines(debian_source.chosen())
    try:
        with step("making the Python base image from Debian's packages", "40 to 70 s"):
            run_long(
                [*command, SUITE, archive, *sources],
                log=cache() / "logs" / "base-image.log",
                remedy="check that deb.debian.org answers (DEBIAN_SNAPSHOT= takes it), or set PYTHON_IMAGE to an image"
                " with Python 3.11",
            )
        buildah.import_rootfs(archive, name)
    finally:
        archive.unlink(missing_ok=True)  # the image store has it now
    return name
