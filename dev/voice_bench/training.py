"""Trains a reader's voice as a user's is trained: the trainer's own stages in processes of their own, over a folder."""

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
from dev.voice_bench.digests import code_digest, files_digest, text_digest
from dev.voice_bench.readers import Reader
from sovits_core.bundle.base import BaseBundle
from voice_trainer.recordings.clips import Clip, read_clips

LANGUAGE = "en"
COST = "cost.json"
TO_ADAPTER, TO_BUNDLE = "prepare,features,train", "evaluate,publish"
# Any voice is published here: the bench wants to hear the bad ones too.
ANY_VOICE = [{"metric": "stoi", "min": "-1"}]


class Cost(BaseModel):
    """What a run of the trainer took."""

    model_config = ConfigDict(frozen=True)

    seconds: float
    """Of wall clock: what a user waits, and more where others use the machine."""
    cpu_seconds: float
    """Of the processor, which others change less."""


@dataclass(frozen=True)
class TrainedVoice:
    """What the trainer left."""

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
        """What a server would be told to expect."""
        return f"sha256:{hashlib.sha256((self.bundle / 'manifest.json').read_bytes()).hexdigest()}"

    def results(self, stage: str) -> Path:
        """The folder of one stage's results."""
        return self.folder / "store" / "workspace" / stage

    def clips(self) -> tuple[Clip, ...]:
        """All clips as the trainer prepared them."""
        return read_clips(self.results("prepare"))

    def summary(self, stage: str) -> dict[str, Any]:
        """What the stage says of itself."""
        found: dict[str, Any] = json.loads((self.results(stage) / "manifest.json").read_bytes())["summary"]
        return found


def train(reader: Reader, base: BaseBundle, work: Path) -> TrainedVoice:
    """Bring a reader's voice to its bundle, with the defaults of a job; what is done already is not done again.

    Args:
        reader: whose recordings.
        base: the base to adapt, in a folder.
        work: where everything is kept, in a folder named after all that decides the result.

    Raises:
        DevError: the trainer refused the recordings, or failed.
    """
    recordings = files_digest([reader.folder / "metadata.csv", *reader.clips()], reader.folder)
    input_hash = text_digest(base.digest, recordings, code_digest("sovits_core", "trainer"))
    folder = work / f"{reader.name}-{input_hash[:12]}"
    for outdated in work.glob(f"{reader.name}-*"):
        if outdated != folder:
            shutil.rmtree(outdated)
    folder.mkdir(parents=True, exist_ok=True)
    revision, store = f"{reader.name}-{input_hash[:8]}", folder / "store"
    job = {
        "schema": "voice.sovits.dev/job/v1",
        "voice": {"namespace": "bench", "name": reader.name},
        "revision": revision,
        "inputHash": input_hash,
        "language": LANGUAGE,
        "dataset": {"uri": reader.folder.absolute().as_uri()},
        "consent": {"holder": f"reader {reader.name}", "statement": "Published for any use by its licence."},
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
        shutil.rmtree(store, ignore_errors=True)  # half of an earlier attempt would make this one look faster
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
        said = json.loads(message.read_bytes())["message"] if message.exists() else f"its log ends:\n{tail(log)}"
        raise DevError(f"the trainer ended with {code} for {folder.name} ({stages}): {said}", remedy=f"read {log}")
    return Cost(seconds=round(time.monotonic() - started, 1), cpu_seconds=round(_cpu_seconds() - used, 1))


def _cpu_seconds() -> float:
    """Of all processes that this one has started and seen end."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
