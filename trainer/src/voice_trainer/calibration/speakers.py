"""One speaker of a calibration: trained and evaluated by the trainer's own stages, over a folder."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sovits_core.bundle.base import BaseBundle
from voice_trainer.calibration.bounds import Reached
from voice_trainer.errors import UsageError
from voice_trainer.job.algorithm import EVALUATION, TRAINING
from voice_trainer.job.display import Display
from voice_trainer.job.document import JOB_SCHEMA, TrainingJob
from voice_trainer.job.limits import Limits
from voice_trainer.job.runner import Run, stages_named
from voice_trainer.job.signals import TerminationSignal
from voice_trainer.job.workspace import Workspace

STAGES: Final = "prepare,features,train,evaluate"


@dataclass(frozen=True)
class CalibratedVoice:
    """What one speaker's voice reached."""

    speaker: str
    dataset_digest: str
    clips: int
    voice: Reached
    base_alone: Reached


def calibrate_speaker(
    base: BaseBundle, recordings: Path, language: str, work: Path, *, limits: Limits, display: Display
) -> CalibratedVoice:
    """Train and evaluate a voice with the defaults of a job; stages that ``work`` has already are not repeated.

    Raises:
        TrainerError: the recordings cannot be used; the message says why.
    """
    job = _job(base, recordings, language, work)
    termination = TerminationSignal()
    termination.install_handler()
    workspace = Workspace(job, work / "scratch", termination, display)
    Run(stages_named(STAGES), limits).execute(job, workspace)

    def summary(stage: str) -> dict[str, Any]:
        manifest = workspace.manifest(stage)
        return manifest.summary if manifest else {}

    prepared, evaluated = summary("prepare"), summary("evaluate")
    return CalibratedVoice(
        speaker=recordings.name,
        dataset_digest=str(prepared.get("datasetDigest", "")),
        clips=int(prepared.get("clips", 0)),
        voice=Reached(_numbers(evaluated, "scores"), _numbers(evaluated, "intervals")),
        base_alone=Reached(_numbers(evaluated, "baseScores"), {}),
    )


def _job(base: BaseBundle, recordings: Path, language: str, work: Path) -> TrainingJob:
    name = "speaker-" + hashlib.sha256(str(recordings.resolve()).encode()).hexdigest()[:8]
    files = (path for path in sorted(recordings.rglob("*")) if path.is_file())
    content = "\n".join(f"{path.relative_to(recordings)} {path.stat().st_size}" for path in files)
    if not content:
        raise UsageError(f"--recordings {recordings}: there is no file in this folder; name a speaker's folder")
    identity = "\n".join([base.digest, language, str(TRAINING), str(EVALUATION), content])
    input_hash = hashlib.sha256(identity.encode()).hexdigest()
    return TrainingJob.model_validate(
        {
            "schema": JOB_SCHEMA,
            "voice": {"namespace": "calibration", "name": name},
            "revision": f"{name}-{input_hash[:8]}",
            "inputHash": input_hash,
            "language": language,
            "dataset": {"uri": recordings.resolve().as_uri()},
            "consent": {
                "holder": f"the speaker of {recordings.name}",
                "statement": "Whoever calibrates may use these recordings. The voice is measured and not published.",
            },
            "base": {"name": base.document.name, "uri": base.folder.resolve().as_uri(), "digest": base.digest},
            "evaluation": {"gates": []},
            "store": {
                "workspace": (work / name / input_hash).resolve().as_uri(),
                "revision": (work / name / "revision").resolve().as_uri(),
            },
        }
    )


def _numbers(summary: dict[str, Any], name: str) -> dict[str, float]:
    return {metric: float(value) for metric, value in summary.get(name, {}).items()}
