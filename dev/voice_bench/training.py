"""Fine-tunes a speaker's voice as a user's: the trainer's own stages in processes of their own, over a folder."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from dev.errors import DevError
from dev.paths import REPOSITORY
from dev.terminal import tail
from dev.voice_bench.digests import code_digest, files_digest, own_digest, text_digest
from dev.voice_bench.speakers import BenchSpeaker
from sovits_core.bundle.base import BaseBundle
from voice_trainer.recordings.clips import Clip, read_clips

LANGUAGE = "en"
COST = "cost.json"
TO_ADAPTER, TO_BUNDLE = "prepare,features,train", "evaluate,publish"
# Every voice is published here: bad ones are measured too.
ANY_VOICE = [{"metric": "stoi", "min": "-1"}]


class Cost(BaseModel):
    """Time of a run of the trainer."""

    model_config = ConfigDict(frozen=True)

    seconds: float
    """Of wall clock, which other load on the machine increases."""
    cpu_seconds: float
    """Of the processor, which other load changes less."""


@dataclass(frozen=True)
class TrainedVoice:
    """Results of the trainer."""

    revision: str
    folder: Path
    cost: Cost
    """From the recordings to the adapter, on one thread."""

    @property
    def bundle(self) -> Path:
        """The folder of the published voice."""
        return self.folder / "store" / "revisions" / self.revision

    @property
    def bundle_digest(self) -> str:
        """The bundle's digest, as a server gets it."""
        return f"sha256:{hashlib.sha256((self.bundle / 'manifest.json').read_bytes()).hexdigest()}"

    def results(self, stage: str) -> Path:
        """The folder of one stage's results."""
        return self.folder / "store" / "workspace" / stage

    def clips(self) -> tuple[Clip, ...]:
        """All clips as the trainer prepared them."""
        return read_clips(self.results("prepare"))

    def summary(self, stage: str) -> dict[str, Any]:
        """The stage's own summary."""
        found: dict[str, Any] = json.loads((self.results(stage) / "manifest.json").read_bytes())["summary"]
        return found


def train(speaker: BenchSpeaker, base: BaseBundle, work: Path) -> TrainedVoice:
    """Fine-tune a speaker's voice up to its bundle, with the defaults of a job; cached.

    Args:
        speaker: with the recordings.
        base: the base to adapt, in a folder.
        work: the cache, with a folder named after the digest of all inputs.

    Raises:
        DevError: the trainer refused the recordings, or failed.
    """
    recordings = files_digest([speaker.folder / "metadata.csv", *speaker.clips()], speaker.folder)
    input_hash = text_digest(base.digest, recordings, code_digest("sovits_core", "trainer"), own_digest("trainer.py"))
    folder = work / f"{speaker.name}-{input_hash[:12]}"
    for outdated in work.glob(f"{speaker.name}-*"):
        if outdated != folder:
            shutil.rmtree(outdated)
    folder.mkdir(parents=True, exist_ok=True)
    revision, store = f"{speaker.name}-{input_hash[:8]}", folder / "store"
    job = {
        "schema": "voice.sovits.dev/job/v1",
        "voice": {"namespace": "bench", "name": speaker.name},
        "revision": revision,
        "inputHash": input_hash,
        "language": LANGUAGE,
        "dataset": {"uri": speaker.folder.absolute().as_uri()},
        "consent": {"holder": f"speaker {speaker.name}", "statement": "Published for any use by its licence."},
        "base": {"name": base.document.name, "uri": base.folder.absolute().as_uri(), "digest": base.digest},
        "evaluation": {"gates": ANY_VOICE},
        "store": {
            "workspace": (store / "workspace").absolute().as_uri(),
            "revision": (store / "revisions" / revision).absolute().as_uri(),
        },
        "compute": {"device": "cpu"},
    }
    (folder / "job.json").write_text(json.dumps(job, indent=1) + "\n", encoding="utf-8")
    kept = folder / COST
    if not kept.exists():
        shutil.rmtree(store, ignore_errors=True)  # part of an earlier attempt would make this one faster
        cost = _run(folder, TO_ADAPTER)
        kept.write_text(cost.model_dump_json(), encoding="utf-8")
    _run(folder, TO_BUNDLE)
    return TrainedVoice(revision, folder, Cost.model_validate_json(kept.read_bytes()))


def _run(folder: Path, stages: str) -> Cost:
    """Run stages of the folder's job."""
    log, message = folder / "trainer.log", folder / "failure.json"
    message.unlink(missing_ok=True)
    command = [
        sys.executable,
        "-m",
        "dev.voice_bench.trainer",
        "run",
        "--job",
        str(folder / "job.json"),
        "--stages",
        stages,
    ]
    started, used = time.monotonic(), _cpu_seconds()
    with log.open("ab") as output:
        code = subprocess.run(
            command,
            cwd=REPOSITORY,
            env={**os.environ, "OMP_NUM_THREADS": "1"} | {"VOICE_TERMINATION_LOG": str(message)},
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode
    if code:
        detail = json.loads(message.read_bytes())["message"] if message.exists() else f"its log ends:\n{tail(log)}"
        raise DevError(f"the trainer ended with {code} for {folder.name} ({stages}): {detail}", remedy=f"read {log}")
    return Cost(seconds=round(time.monotonic() - started, 1), cpu_seconds=round(_cpu_seconds() - used, 1))


def _cpu_seconds() -> float:
    """Of all ended child processes."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
