"""The command line: ``voice-trainer run --job job.json --stages prepare,features``."""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

from voice_store import ENVIRONMENT_HELP
from voice_trainer.calibration import command as calibration
from voice_trainer.errors import Interrupted, UsageError
from voice_trainer.job.display import open_display
from voice_trainer.job.document import read_job
from voice_trainer.job.exit_codes import failure_of, write_termination_message
from voice_trainer.job.limits import Limits
from voice_trainer.job.results import to_json
from voice_trainer.job.runner import STAGES, Run, stages_named
from voice_trainer.job.signals import TerminationSignal
from voice_trainer.job.workspace import Workspace
from voice_trainer.settings import TerminationSettings, read_settings, settings_help

logger = logging.getLogger("voice_trainer")

EPILOG = f"""\
exit codes:
  0 done (gates that fail are a verdict, not an error)   64 usage or job document
  65 the recordings or transcripts must change           75 transient, try again
  78 consent or configuration forbids it                 90 GPU out of memory
  143 interrupted; the next attempt continues

environment:
{settings_help()}
{ENVIRONMENT_HELP}"""


class Parser(argparse.ArgumentParser):
    """Ends with the exit code that the operator knows for usage errors."""

    def error(self, message: str) -> NoReturn:
        """Print usage and the message, then exit with 64."""
        self.print_usage(sys.stderr)
        self.exit(64, f"{self.prog}: {message}\n")


def parser() -> Parser:
    """Describe the command line."""
    top = Parser(
        prog="voice-trainer",
        description="Turns recordings of a speaker into a voice bundle.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"voice-trainer {version('voice-trainer')}")
    commands = top.add_subparsers(dest="command", required=True, parser_class=Parser)
    run = commands.add_parser(
        "run",
        help="run stages of a job",
        description="Runs stages of a job in their order; a stage that is already committed is skipped.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    run.add_argument("--job", type=Path, required=True, help="the job document (voice.sovits.dev/job/v1)")
    run.add_argument(
        "--stages",
        default=",".join(stage.name for stage in STAGES),
        help="comma-separated stages (default: all, %(default)s)",
    )
    calibration.add_arguments(commands.add_parser("calibrate", help=calibration.HELP, description=calibration.__doc__))
    commands.add_parser("stages", help="list the stages, in the order in which they run")
    return top


def main(arguments: Sequence[str] | None = None, limits: Limits | None = None) -> int:
    """Run the command line and return its exit code; ``limits`` are for callers that accept smaller datasets."""
    options = parser().parse_args(arguments)
    if options.command == "calibrate":
        return calibrate(options)
    if options.command == "stages":
        sys.stdout.write("".join(f"{stage.name:<10} {stage.summary}\n" for stage in STAGES))
        return 0
    return run(options.job, options.stages, limits)


def run(job_path: Path, stage_names: str, limits: Limits | None = None) -> int:
    """Run the stages and translate whatever goes wrong; no traceback reaches a user who can fix it alone."""
    termination, termination_log = TerminationSignal(), TerminationSettings().termination_log
    current: Run | None = None
    workspace: Workspace | None = None
    with ExitStack() as cleanup:
        try:
            termination.install_handler()
            settings = read_settings()
            display = cleanup.enter_context(open_display(settings.log_level, settings.progress_seconds))
            current = Run(stages_named(stage_names), limits)
            job = read_job(job_path)
            workspace = Workspace(job, _scratch(settings.scratch, cleanup), termination, display)
            current.execute(job, workspace)
            if message := workspace.result([stage.name for stage in current.stages]):
                write_termination_message(message, termination_log)
        except (Exception, Interrupted, KeyboardInterrupt) as error:
            failure = failure_of(error, current.current if current else "")
            # Only a defect is worth a traceback; all other failures say what to change.
            trace = error if failure.reason == "InternalError" else None
            where = failure.stage or "voice-trainer"
            logger.log(logging.ERROR, "%s failed [%s]: %s", where, failure.reason, failure.message, exc_info=trace)
            write_termination_message(to_json(failure), termination_log)
            if workspace is not None:
                workspace.record_failure(failure)
            return failure.exit_code
    return 0


def calibrate(options: argparse.Namespace) -> int:
    """Calibrate a base and translate whatever goes wrong."""
    try:
        return calibration.run(options)
    except (Exception, Interrupted, KeyboardInterrupt) as error:
        failure = failure_of(error, "calibrate")
        trace = error if failure.reason == "InternalError" else None
        logger.log(logging.ERROR, "calibrate failed [%s]: %s", failure.reason, failure.message, exc_info=trace)
        return failure.exit_code


def _scratch(folder: Path | None, cleanup: ExitStack) -> Path:
    """Return the folder for local work; without a setting a temporary one, removed when the run ends."""
    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"VOICE_SCRATCH={folder}: {error.strerror}", reason="ScratchUnusable") from error
        return folder
    return Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="voice-trainer-")))


if __name__ == "__main__":
    raise SystemExit(main())
