"""The command line: ``run`` stages of a job document, or ``train`` a voice on this machine."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn

from voice_store import ENVIRONMENT_HELP
from voice_trainer.calibration import command as calibration
from voice_trainer.errors import Interrupted
from voice_trainer.hub import command as hub
from voice_trainer.job.document import read_job
from voice_trainer.job.exit_codes import failure_of, write_termination_message
from voice_trainer.job.limits import Limits
from voice_trainer.job.process import Process, run_process
from voice_trainer.job.runner import STAGES, stages_named
from voice_trainer.local.command import add_arguments, train_here
from voice_trainer.recognition import command as recognition
from voice_trainer.settings import settings_help

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
    train = commands.add_parser(
        "train",
        help="train a voice on this machine, without a cluster",
        description=(
            "Runs all stages over folders of this machine. What is done already is not done again; an interrupted "
            "training goes on. Exit code 1: the voice did not pass its gates and was not published."
        ),
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_arguments(train)
    copy = commands.add_parser(
        "copy",
        help="copy a published voice to the Hugging Face Hub",
        description=(
            "Makes a repository hold exactly a voice's bundle and a model card, in one commit; in none where it does "
            "already. The token is HF_TOKEN, or the file that HF_TOKEN_PATH names."
        ),
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    hub.add_arguments(copy)
    withdraw = commands.add_parser(
        "withdraw",
        help="withdraw a copy from the Hugging Face Hub",
        description=(
            "Deletes the files of a copy and the history that had them; a card that says so stays. What others have "
            "copied from there is out of reach. The token is as for copy."
        ),
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    hub.add_withdraw_arguments(withdraw)
    recogniser = commands.add_parser(
        "recogniser",
        help="print a Whisper folder's digest and languages",
        description=(
            "Prints what the chart's value recogniser needs: the folder's address, its digest and the languages that "
            "it knows. The digest is SHA-256 over the SHA-256 of the files that are read."
        ),
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    recognition.add_arguments(recogniser)
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
    if options.command == "train":
        return run_process(partial(train_here, options), limits, signals=(signal.SIGTERM, signal.SIGINT))
    described = {"copy": hub.copy, "withdraw": hub.withdraw, "recogniser": recognition.describe}
    if options.command in described:
        return run_process(partial(described[options.command], options), limits)
    return run_process(partial(run_job, options.job, options.stages), limits)


def run_job(path: Path, stage_names: str, process: Process) -> int:
    """Run stages of a job document, and say what they made to who started this pod."""
    stages = stages_named(stage_names)
    process.stage = stages[0].name
    workspace = process.execute(read_job(path), stages)
    if message := workspace.result([stage.name for stage in stages]):
        write_termination_message(message, process.termination_log)
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


if __name__ == "__main__":
    raise SystemExit(main())
