"""Versions of this trainer's algorithms, and whether a job was written for them."""

from __future__ import annotations

from sovits_core.text.versions import VERSIONS as TEXT
from voice_trainer.errors import Refused
from voice_trainer.job.document import TrainingJob

# Raise it when the same recordings and settings give another adapter. Every voice is trained again then, so a change
# of the algorithm must be worth that.
TRAINING = 1
# Raise it when the same adapter gets other scores, or is published with another prompt: scores of different versions
# are not compared, and voices that have not passed their gates are evaluated again.
EVALUATION = 1


def require_versions(job: TrainingJob) -> None:
    """Check that the job asks for the algorithms that this trainer has; a job that names none is not checked.

    Raises:
        Refused: ``AlgorithmMismatch``; its result would be recorded as that of another algorithm.
    """
    own = {"training": TRAINING, "text": TEXT.get(job.language), "evaluation": EVALUATION}
    for name, version in own.items():
        asked = getattr(job.algorithm, name)
        if asked is not None and version is not None and asked != version:
            raise Refused(
                f"algorithm.{name} is {asked}, and this trainer has version {version}; run the trainer image of the "
                "operator's release (chart value images.trainer)",
                reason="AlgorithmMismatch",
            )
