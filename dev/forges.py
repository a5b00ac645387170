"""`python3 -m dev.forges`: what runs the pipelines of ci/ on this machine, installed once into the cache.

Jenkins itself is in no package registry. Its engine is: groovy-cps, and JenkinsPipelineUnit, which runs steps in it.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
from pathlib import Path

from dev import builds, debian
from dev.paths import TOOLS, cache, exclusive_lock
from dev.terminal import main_of, run_long, step

PROGRAMS = {"npm": "npm", "rsync": "rsync", "java": "default-jre-headless", "mvn": "maven"}


def gitlab_ci_local() -> Path:
    """The program that runs a `.gitlab-ci.yml`."""
    folder = _installed("gitlab-ci-local", "package-lock.json", ["npm", "ci", "--no-audit", "--no-fund"])
    return folder / "node_modules" / ".bin" / "gitlab-ci-local"


def jenkins() -> str:
    """The class path of what runs steps of Jenkins in its own engine."""
    command = ["mvn", "--quiet", "--batch-mode", "dependency:copy-dependencies", "-DoutputDirectory=lib"]
    return f"{_installed('jenkins', 'pom.xml', command) / 'lib'}/*"


def act() -> Path:
    """The program that runs workflows of GitHub."""
    return builds.build("act")


def gitops() -> Path:
    """The program that applies and compares manifests as Argo CD and Flux do (`dev/tools/gitops`)."""
    return builds.build("gitops")


def _installed(name: str, pins: str, command: list[str]) -> Path:
    """Run a package manager in a copy of a folder of `dev/tools`, once for each content of its pins."""
    digest = hashlib.sha256((TOOLS / name / pins).read_bytes()).hexdigest()[:12]
    folder = cache() / "forges" / f"{name}-{digest}"
    with exclusive_lock(cache() / "locks" / f"forges-{name}", f"installing {name}"):
        if folder.exists():
            return folder
        debian.ensure(PROGRAMS)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with (
            step(f"installing {name}", "a minute"),
            tempfile.TemporaryDirectory(dir=folder.parent, prefix=".installing-") as unfinished,
        ):
            shutil.copytree(TOOLS / name, unfinished, dirs_exist_ok=True)
            run_long(
                command,
                cwd=Path(unfinished),
                log=cache() / "logs" / f"install-{name}.log",
                remedy="check that the package registry answers, then run it again",
            )
            shutil.copytree(unfinished, folder, symlinks=True)
    return folder


def main() -> int:
    """Install all of them; where none is missing this takes no time."""
    debian.ensure(PROGRAMS)
    for part in (gitlab_ci_local(), jenkins(), act(), gitops()):
        print(part)
    return 0


if __name__ == "__main__":
    sys.exit(main_of(main))
