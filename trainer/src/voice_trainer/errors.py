"""What can go wrong in the trainer, readable as a tree; the edge turns each branch into one exit code."""

from __future__ import annotations

from collections.abc import Sequence

PROBLEMS_SHOWN = 10  # a person fixes a handful at a time, and the termination message is at most 4 KiB


class TrainerError(Exception):
    """The base of all; ``reason`` is CamelCase and becomes the reason of a condition."""

    default_reason = "InternalError"

    def __init__(self, message: str, *, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason or self.default_reason


class UsageError(TrainerError):
    """The command line or the job document is wrong; whoever wrote it must change it."""

    default_reason = "InvalidJob"


class BadData(TrainerError):
    """The recordings or their transcripts must change; trying again cannot help."""

    default_reason = "BadData"


class BadDataset(BadData):
    """Every problem found in one pass over a dataset, the first of which gives the reason."""

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        """Collect ``(reason, sentence)`` pairs."""
        sentences = [f"{sentence} [{reason}]" for reason, sentence in problems[:PROBLEMS_SHOWN]]
        more = len(problems) - len(sentences)
        heading = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        tail = f" … and {more} more" if more else ""
        super().__init__(f"{heading} in the dataset: " + "; ".join(sentences) + tail, reason=problems[0][0])


class Refused(TrainerError):
    """Consent or configuration forbids this run; a person must change it."""

    default_reason = "Refused"


class Transient(TrainerError):
    """Nothing is wrong with the job; another attempt can succeed."""

    default_reason = "Transient"


class Interrupted(BaseException):
    """SIGTERM arrived; what was worth keeping has been kept."""

    reason = "Interrupted"
