"""Errors of the trainer; ``job/exit_codes.py`` turns each branch into one exit code.

::

    TrainerError
    ├── UsageError      64  the command line, the environment or the job document is wrong
    ├── BadData         65  the recordings or their transcripts must change
    │   └── BadDataset      several problems of a dataset, found in one pass
    ├── Refused         78  consent or configuration forbids the run
    └── Transient       75  another attempt can succeed
    Interrupted        143  SIGTERM (a BaseException, so that no handler of errors swallows it)
"""

from __future__ import annotations

from collections.abc import Sequence

PROBLEMS_SHOWN = 10  # a person fixes a handful at a time, and the termination message is at most 4 KiB


class TrainerError(Exception):
    """The root; ``reason`` is CamelCase and becomes the reason of a condition."""

    default_reason = "InternalError"

    def __init__(self, message: str, *, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason or self.default_reason


class UsageError(TrainerError):
    """The command line, the environment or the job document is wrong; whoever wrote it must change it."""

    default_reason = "InvalidJob"


class BadData(TrainerError):
    """The recordings or their transcripts must change; trying again cannot help."""

    default_reason = "BadData"


class BadDataset(BadData):
    """All problems found in one pass over a dataset; the first of them gives the reason."""

    def __init__(self, problems: Sequence[tuple[str, str]], note: str = "") -> None:
        """Collect ``(reason, sentence)`` pairs; ``note`` follows them."""
        sentences = [f"{sentence} [{reason}]" for reason, sentence in problems[:PROBLEMS_SHOWN]]
        more = len(problems) - len(sentences)
        heading = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        rest = f" … and {more} more" if more else ""
        super().__init__(f"{heading} in the dataset: " + "; ".join(sentences) + rest + note, reason=problems[0][0])


class Refused(TrainerError):
    """Consent or configuration forbids this run; a person must change it."""

    default_reason = "Refused"


class Transient(TrainerError):
    """Nothing is wrong with the job; another attempt can succeed."""

    default_reason = "Transient"


class Interrupted(BaseException):
    """SIGTERM arrived; a checkpoint is stored where the stage has one."""

    reason = "Interrupted"
