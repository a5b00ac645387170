"""``voice-trainer train``: all stages on this machine, into a folder that ``voice-inference serve`` serves."""

from __future__ import annotations

import argparse
import gc
import json
import logging
import shlex
import sys
from pathlib import Path
from typing import Any

from sovits_core.bundle.base import EMBEDDED
from voice_store import StoreUri
from voice_trainer.job.document import Training, TrainingJob
from voice_trainer.job.exit_codes import is_out_of_gpu_memory
from voice_trainer.job.process import Process
from voice_trainer.job.workspace import Workspace
from voice_trainer.local.job import ASKED, compared_with, local_job, require_options
from voice_trainer.local.registry import Registry

logger = logging.getLogger("voice_trainer")

NOT_PUBLISHED = 1  # the exit code
DEFAULTS = Training()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's options; what is missing is said by the command itself, with what it is for."""
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="recordings and texts (docs/recordings.md)")
    for name, meaning in ASKED.items():
        kind: dict[str, Any] = {"type": Path, "metavar": "REGISTRY"} if name == "out" else {"default": ""}
        parser.add_argument(f"--{name}", help=f"{meaning} (required)", **kind)
    parser.add_argument(
        "--locale", default="", help="how texts write dates and numbers, as en-GB (default: as the language)"
    )
    parser.add_argument("--expires", default="", help="last day of the permission, as 2027-11-01 (default: no end)")
    parser.add_argument(
        "--base", default=f"{EMBEDDED}tiny", help="base model: embedded:tiny, a folder or s3://… (default: %(default)s)"
    )
    parser.add_argument("--namespace", default="local", help="first part of the voice's id (default: %(default)s)")
    for name, value in (("epochs", DEFAULTS.epochs), ("batch-size", DEFAULTS.batch_size), ("rank", DEFAULTS.rank)):
        parser.add_argument(f"--{name}", type=int, default=value, help=f"of the training (default: {value})")
    parser.add_argument("--learning-rate", default="2e-4", help="of the training (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=DEFAULTS.seed, help="of the training (default: %(default)s)")
    parser.add_argument(
        "--denoise", choices=("auto", "always", "never"), default="auto", help="remove noise (default: %(default)s)"
    )
    parser.add_argument(
        "--max-rejected", type=int, default=20, help="percentage of clips that may be left out (default: %(default)s)"
    )
    parser.add_argument(
        "--text",
        action="append",
        default=[],
        help="sentence to speak for the report, once or more (default: the base's)",
    )
    parser.add_argument(
        "--recogniser",
        default="",
        metavar="WHISPER",
        help="Whisper folder that checks texts, or writes those that are missing (default: none)",
    )
    parser.add_argument(
        "--no-gates", action="store_true", help="publish whatever the scores are (default: the base's gates)"
    )
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="where to compute (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")


def train_here(options: argparse.Namespace, process: Process) -> int:
    """Train, evaluate and publish one voice, then list it for servers.

    Raises:
        UsageError: an option is missing or wrong.
        Transient: something else trains this voice.
        TrainerError, StoreError: as of the stages.
    """
    require_options(options)
    registry = Registry(options.out.absolute())
    job = local_job(options, registry, process.scratch)
    with registry.training(job.voice.namespace, job.voice.name):
        job = compared_with(registry.listed(), job)
        workspace = _execute(job, process)
        published = workspace.manifest("publish")
        if published is not None:
            registry.publish(_entry(job, published.summary))
    result = _result(job, workspace, process)
    sys.stdout.write(json.dumps(result, indent=1) + "\n" if options.json else _for_people(result, registry))
    return 0 if published is not None else NOT_PUBLISHED


def _execute(job: TrainingJob, process: Process) -> Workspace:
    """Run all stages; where the GPU's memory runs out, go on with half as many clips at a time."""
    while True:
        try:
            return process.execute(job)
        except RuntimeError as error:
            if not is_out_of_gpu_memory(error) or job.micro_batch_size == 1:
                raise
            divisor = 2 * job.attempt.batch_size_divisor
            logger.warning("the GPU ran out of memory; going on with 1/%d of a batch at a time", divisor)
            smaller = job.attempt.model_copy(update={"batch_size_divisor": divisor})
            job = job.model_copy(update={"attempt": smaller})
        gc.collect()  # what the failed attempt holds on the GPU


def _entry(job: TrainingJob, published: dict[str, Any]) -> dict[str, Any]:
    expires = job.consent.expires.isoformat() if job.consent and job.consent.expires else None
    return {
        "id": f"{job.voice.namespace}/{job.voice.name}",
        "revision": job.revision,
        "uri": published["uri"],
        "digest": published["digest"],
        "base": job.base.model_dump(),
        "expires": expires,
    }


def _result(job: TrainingJob, workspace: Workspace, process: Process) -> dict[str, Any]:
    evaluated, published = workspace.manifest("evaluate"), workspace.manifest("publish")
    found = evaluated.summary if evaluated else {}
    return {
        "voice": f"{job.voice.namespace}/{job.voice.name}",
        "revision": job.revision,
        "published": published is not None,
        "uri": published.summary["uri"] if published else "",
        "digest": published.summary["digest"] if published else "",
        "scores": found.get("scores", {}),
        "gates": found.get("gates", []),
        "report": str(StoreUri.parse(job.store.workspace).path / "evaluate" / "report.html"),
        "seconds": {stage: round(seconds, 1) for stage, seconds in process.seconds.items()},
    }


def _for_people(result: dict[str, Any], registry: Registry) -> str:
    lines = [
        f"voice    {result['voice']} (revision {result['revision']})",
        f"scores   {', '.join(f'{name} {value}' for name, value in result['scores'].items())}",
        f"report   {result['report']}",
    ]
    if result["published"]:
        lines.append(f"serve    voice-inference serve {shlex.quote(str(registry.folder))}")
    else:
        missed = [
            f"{gate['metric']} is {gate['value'] or 'not measured'}, wanted: "
            + " and ".join(f"{bound} {gate[bound]}" for bound in ("min", "max") if bound in gate)
            for gate in result["gates"]
            if not gate["passed"]
        ]
        lines.append(f"not published: {'; '.join(missed)}; --no-gates publishes whatever the scores are")
    return "".join(f"{line}\n" for line in lines)
