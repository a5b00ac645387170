"""Whether the job's namespace may read the recordings: checked before anything is read, in every run."""

from __future__ import annotations

from voice_store import InvalidUri, StoreUri
from voice_trainer.errors import Refused
from voice_trainer.job.document import TrainingJob

ALL = frozenset({"s3://", "file:///"})  # prefixes that stand for every address of their scheme


def require_allowed(job: TrainingJob) -> None:
    """Pass a job whose recordings lie below an allowed prefix, and one that was written without prefixes.

    Raises:
        Refused: ``DatasetNotAllowed``.
    """
    if job.allowed is None or any(_is_below(job.dataset.uri, prefix) for prefix in job.allowed.datasets):
        return
    raise Refused(
        f"dataset.uri is {job.dataset.uri}, but the namespace {job.voice.namespace} may use "
        f"{' or '.join(job.allowed.datasets) or 'no address'}; nothing was read or trained",
        reason="DatasetNotAllowed",
    )


def _is_below(address: str, prefix: str) -> bool:
    """Return whether an address is the prefix or lies below it, compared segment by segment."""
    try:
        inside = StoreUri.parse(address)
        if prefix in ALL:
            return address.startswith(prefix)
        outside = StoreUri.parse(prefix)
    except InvalidUri:
        return False
    same = (inside.scheme, inside.bucket) == (outside.scheme, outside.bucket)
    return same and inside.segments[: len(outside.segments)] == outside.segments
