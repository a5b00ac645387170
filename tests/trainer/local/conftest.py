"""A voice on one machine: what the command is given, and the calls that a test changes one thing of."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from voice_trainer.__main__ import main

GIVEN = {"voice": "alice", "language": "en", "holder": "Alice A.", "statement": "I agree.", "epochs": "1", "rank": "2"}


def command(recordings: Path, *flags: str, **changed: str) -> list[str]:
    """The words of `voice-trainer train`; an empty value leaves an option out."""
    options = GIVEN | changed
    words = [word for name, value in options.items() if value for word in (f"--{name.replace('_', '-')}", value)]
    return ["train", str(recordings), *words, *flags]


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    return tmp_path / "a registry"


@pytest.fixture
def failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], dict[str, Any]]:
    """What the run said of its failure."""
    monkeypatch.setenv("VOICE_TERMINATION_LOG", str(tmp_path / "termination-log"))
    return lambda: json.loads((tmp_path / "termination-log").read_bytes())


@pytest.fixture
def train(registry: Path, random_base: Path, failure: object) -> Callable[..., int]:
    """Train in this process."""

    def run(recordings: Path, *flags: str, **changed: str) -> int:
        return main(command(recordings, *flags, **({"out": str(registry), "base": str(random_base)} | changed)))

    return run


@pytest.fixture
def strict_base(random_base: Path, tmp_path: Path) -> Path:
    """The random base with a gate that nothing passes."""
    folder = Path(shutil.copytree(random_base, tmp_path / "strict-base"))
    document = json.loads((folder / "base.json").read_bytes())
    document["gates"] = [{"metric": "stoi", "min": "0.99"}]
    (folder / "base.json").write_text(json.dumps(document))
    return folder
