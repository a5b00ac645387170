"""The base's model of Mandarin polyphones: trainer and server give a text the same phones."""

from __future__ import annotations

from sovits_core.bundle.base import POLYPHONES
from sovits_core.text import PolyphoneReader
from sovits_core.text.chinese.g2pw import open_g2pw
from voice_trainer.job.base import JobBase
from voice_trainer.training.threads import compute_threads


def load_polyphones(base: JobBase, language: str) -> PolyphoneReader | None:
    """Return the base's polyphone model, where it has one and the language uses it.

    Raises:
        BaseRejected, TextModelRejected: a file of it is missing, damaged or not what it should be.
    """
    if language != "zh" or not base.document.has_folder(POLYPHONES):
        return None
    return open_g2pw(base.folder(POLYPHONES), threads=compute_threads())
