"""One run of the program: settings, display, scratch and signals around it, and an exit code for what goes wrong."""

from __future__ import annotations

import logging
import signal
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from voice_trainer.errors import Interrupted, UsageError
from voice_trainer.job.display import Display, open_display
from voice_trainer.job.document import TrainingJob
from voice_trainer.job.exit_codes import failure_of, write_termination_message
from voice_trainer.job.limits import Limits
from voice_trainer.job.results import to_json
from voice_trainer.job.runner import STAGES, Run, Stage
from voice_trainer.job.signals import TerminationSignal
from voice_trainer.job.workspace import Workspace
from voice_trainer.settings import TerminationSettings, read_settings

logger = logging.getLogger("voice_trainer")


class Process:
    """What a command of the program works with; valid within ``run_process``."""

    def __init__(
        self, scratch: Path, termination: TerminationSignal, display: Display, termination_log: Path, limits: Limits
    ) -> None:
        self.scratch = scratch
        self.termination_log = termination_log
        self.seconds: dict[str, float] = {}
        """Of the stages that ran, not of those that were skipped."""
        self.workspace: Workspace | None = None
        self.stage = ""
        """The one to blame for a failure."""
        self._termination = termination
        self._display = display
        self._limits = limits

    def execute(self, job: TrainingJob, stages: Sequence[Stage] = STAGES) -> Workspace:
        """Bring the stages to their manifests; raises what stages raise."""
        run, workspace = Run(stages, self._limits), self.open(job)
        try:
            run.execute(job, workspace)
        finally:
            self.stage = run.current
            self.seconds |= run.seconds
        return workspace

    def open(self, job: TrainingJob) -> Workspace:
        """Return the job's workspace, where its failure goes from now on."""
        self.workspace = Workspace(job, self.scratch, self._termination, self._display)
        return self.workspace


def run_process(
    command: Callable[[Process], int],
    limits: Limits | None = None,
    *,
    signals: Sequence[signal.Signals] = (signal.SIGTERM,),
) -> int:
    """Run a command and return its exit code; no traceback reaches a user who can fix it alone.

    Args:
        command: the work; what it raises becomes an exit code, a log line and a termination message.
        limits: for callers that accept smaller datasets.
        signals: which ask the run to stop after a checkpoint.
    """
    termination, termination_log = TerminationSignal(), TerminationSettings().termination_log
    process: Process | None = None
    with ExitStack() as cleanup:
        try:
            termination.install_handler(*signals)
            settings = read_settings()
            display = cleanup.enter_context(open_display(settings.log_level, settings.progress_seconds))
            scratch = _scratch(settings.scratch, cleanup)
            process = Process(scratch, termination, display, termination_log, limits or Limits())
            return command(process)
        except (Exception, Interrupted, KeyboardInterrupt) as error:
            failure = failure_of(error, process.stage if process else "")
            # Only a defect is worth a traceback; all other failures say what to change.
            trace = error if failure.reason == "InternalError" else None
            where = failure.stage or "voice-trainer"
            logger.log(logging.ERROR, "%s failed [%s]: %s", where, failure.reason, failure.message, exc_info=trace)
            write_termination_message(to_json(failure), termination_log)
            if process is not None and process.workspace is not None:
                process.workspace.record_failure(failure)
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
