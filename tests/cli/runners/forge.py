"""A repository with voices whose forge has a runner on this machine: what every kind of runner has in common."""

import os
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml
from tests.cli.conftest import Checkout
from tests.cli.pipelines import Ran, Runner

SECONDS = 1800


class Forge(ABC):
    """Runs the pipeline that stands in the repository, as its forge would after a push."""

    def __init__(self, program: str, checkout: Checkout, ci: Path, namespace: str, datasets: str) -> None:
        """Put the pipeline of the folder `ci` into the checkout, for voices of this namespace."""
        self._program, self._checkout = program, checkout
        self._runner = Runner(checkout.path)  # a `voice` on PATH
        with (checkout.path / ".git" / "info" / "exclude").open("a") as excluded:
            excluded.write(".gitlab-ci-local\n")
        for name, text in self.files(ci, namespace, datasets).items():
            (checkout.path / name).parent.mkdir(parents=True, exist_ok=True)
            (checkout.path / name).write_text(text)

    @abstractmethod
    def files(self, ci: Path, namespace: str, datasets: str) -> Mapping[str, str]:
        """The files of the repository that make the pipeline."""

    @abstractmethod
    def push(self, base: str, head: str) -> Ran:
        """Run what a push to the default branch runs; the log is what the jobs printed."""

    def _run(self, command: Sequence[str | Path], **variables: str) -> tuple[int, float, str]:
        """Run the program in the checkout; return its exit code, seconds and output."""
        started = time.monotonic()
        done = subprocess.run(
            command,
            cwd=self._checkout.path,
            env={**os.environ, **self._runner.variables, "NO_COLOR": "1", **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=SECONDS,
        )
        return done.returncode, time.monotonic() - started, done.stdout

    def _summary(self, file: Path) -> str:
        """Read what the pipeline wrote, and remove it."""
        text = file.read_text() if file.exists() else ""
        file.unlink(missing_ok=True)
        return text


def yaml_text(document: object) -> str:
    return yaml.safe_dump(document, sort_keys=False)
