"""SIGKILL at random moments: the next run goes on, nothing committed is done again, and nothing is seen by halves.

`make test-faults` runs it: three kills after stage prepare. `make test-kills` makes twenty, from the first on, and says
when each of them came.
"""

import json
import os
import random
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from tests.support.trainer_process import killed_after
from tests.trainer.local.conftest import command

from voice_inference.voices.desired import parse_desired
from voice_trainer.__main__ import main
from voice_trainer.job.results import digest_of

pytestmark = pytest.mark.faults
KILLS = int(os.environ.get("VOICE_TEST_KILLS", "3"))
TIMED = {"voice.json", "provenance.json", "report.json", "report.html"}  # have times in them
STAGES = ("prepare", "features", "train", "evaluate", "publish")
START_SECONDS = 5.0
WORDS = ("--no-gates", "--seed", "7")


def require_whole(folder: Path) -> dict[str, Any]:
    """Check that all files of a manifest are there with their digests; returns the manifest."""
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_bytes())
    for name, expected in manifest["files"].items():
        assert digest_of(folder / name).model_dump() == expected, f"{folder.name}/{name}"
    return manifest


def committed(registry: Path) -> dict[str, bytes]:
    """The manifests of the stages that are done; whatever is visible is whole."""
    manifests = {path.parent.name: path.read_bytes() for path in registry.glob("local/alice/*/*/manifest.json")}
    for path in registry.glob("local/alice/*/*/manifest.json"):
        require_whole(path.parent)
    listed = registry / "voices.json"
    if listed.exists():
        found = parse_desired(listed.read_bytes(), source="the registry")
        assert found.rejected == ()
        assert [voice.id for voice in found.voices] == ["local/alice"]
        assert "publish" in manifests, "listed after it was published"
    return {stage: manifests[stage] for stage in STAGES if stage in manifests}


def published(registry: Path) -> dict[str, Any]:
    """What the bundle holds, without what has times in it."""
    (folder,) = registry.glob("local/alice/revisions/*")
    files = require_whole(folder)["files"]
    return {name: digest for name, digest in files.items() if name not in TIMED}


def seconds_from(stage: str, registry: Path) -> float:
    """How long a run took, from the beginning of a stage to its end, with an interpreter's start before it."""
    (workspace,) = registry.glob("local/alice/*/prepare")
    begun = json.loads((workspace.parent / stage / "manifest.json").read_bytes())["startedAt"]
    ended = json.loads((workspace.parent / "publish" / "manifest.json").read_bytes())["completedAt"]
    return (datetime.fromisoformat(ended) - datetime.fromisoformat(begun)).total_seconds() + START_SECONDS


def test_a_run_that_is_killed_again_and_again_ends_with_the_same_voice(
    spoken_dataset: Path, random_base: Path, tmp_path: Path
) -> None:
    def words(registry: Path) -> list[str]:
        return command(spoken_dataset, *WORDS, out=str(registry), base=str(random_base), epochs="4")

    reference, registry = tmp_path / "reference", tmp_path / "registry"
    assert main(words(reference)) == 0
    unbroken = seconds_from("prepare" if KILLS > 3 else "features", reference)
    expected = published(reference)
    assert "adapter_model.safetensors" in expected

    def start_anew() -> None:
        shutil.rmtree(registry, ignore_errors=True)
        if KILLS <= 3:
            shutil.copytree(reference, registry, copy_function=shutil.copyfile)
            (registry / "voices.json").unlink()
            shutil.rmtree(registry / "local/alice/revisions")
            for stage in STAGES[1:]:
                shutil.rmtree(next(registry.glob("local/alice/*/prepare")).parent / stage)

    start_anew()
    before = committed(registry)
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    rng, kills = random.Random(11), 0  # noqa: S311 -- repeatable moments
    while kills < KILLS:
        moment = rng.uniform(0.5, unbroken)
        killed = killed_after(moment, words(registry), environment)
        after = committed(registry)
        event = f"kill {kills + 1}" if killed else "the end before a kill"
        print(f"{event} after {moment:.1f} s: done are {', '.join(after) or 'no stages'}")  # noqa: T201 -- `-s` shows it
        assert before.items() <= after.items(), "no committed stage is done again"
        before = after
        if killed:
            kills += 1
        else:
            assert published(registry) == expected
            start_anew()
            before = committed(registry)
    assert not killed_after(600, words(registry), environment)
    assert published(registry) == expected
    assert before.items() <= committed(registry).items()
    assert committed(registry).keys() == set(STAGES)
