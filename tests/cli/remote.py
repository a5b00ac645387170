"""A bare repository with the hook of ci/hooks, and pushes to it as people make them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.cli.conftest import Checkout


def add_remote(checkout: Checkout, repository: Path) -> Mapping[str, str]:
    """Give the checkout a remote with the hook; return what a push needs in its environment."""
    bare = checkout.path.parent / "voices.git"
    checkout.git("init", "--quiet", "--bare", "--initial-branch=main", str(bare))
    shutil.copy(repository / "ci" / "hooks" / "post-receive", bare / "hooks" / "post-receive")
    checkout.git("config", "remote.origin.url", str(bare))
    program = checkout.path.parent / "bin" / "voice"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m voice_cli "$@"\n')
    program.chmod(0o755)
    return {"PATH": f"{program.parent}:{os.environ['PATH']}", "VOICE_DATASETS": "s3://voices/datasets/{namespace}"}


def pushing(checkout: Checkout, environment: Mapping[str, str], seconds: float = 60) -> Callable[[], list[str]]:
    """Begin a push; returns what waits for its end and returns what the server said."""
    running = subprocess.Popen(
        ["git", "push", "origin", "main"],
        cwd=checkout.path,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )

    def ended() -> list[str]:
        said = running.communicate(timeout=seconds)[0]
        return [line.removeprefix("remote: ").strip() for line in said.splitlines() if line.startswith("remote:")]

    return ended
