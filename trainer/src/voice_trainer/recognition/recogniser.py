"""The recogniser of a job: a Whisper folder where the installation names one, else pocketsphinx for English."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Final

import numpy as np

from voice_trainer.errors import Refused
from voice_trainer.job import children
from voice_trainer.job.document import TrainingJob
from voice_trainer.job.workers import ItemFailed, Workers
from voice_trainer.recognition import recogniser_process
from voice_trainer.recognition.folder import WhisperFolder, fetch_folder
from voice_trainer.recognition.written import Written
from voice_trainer.recordings.decoding import Samples
from voice_trainer.training.threads import compute_threads

BUILT_IN: Final[Mapping[str, str]] = {"en": "pocketsphinx, US English"}
"""Languages that are recognised without a folder, and by what; tests/contract holds the API's list against it."""
BUILT_IN_AT_A_TIME: Final = 3  # processes
BUILT_IN_BOUNDS: Final = children.Bounds(wall_seconds=180.0, cpu_seconds=6 * 3600, memory=1024 * children.MIB)
OFFLINE: Final = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}
BESIDE_WEIGHTS: Final = 2048 * children.MIB  # of private memory, for libraries and for one window of sound


class Recogniser:
    """Writes down speech, in processes of its own; safe to use from several threads."""

    def __init__(self, workers: Workers, language: str, folder: WhisperFolder | None, kept: Path | None) -> None:
        """Keep what was written below ``kept``, by the sound: an attempt that was killed repeats nothing."""
        self.name = folder.name if folder else BUILT_IN[language]
        self._workers = workers
        # One process of a large network at a time, with all the threads.
        self._turns = threading.Semaphore(1 if folder else BUILT_IN_AT_A_TIME)
        self._question = {
            "language": language,
            "folder": str(folder.path) if folder else "",
            "threads": compute_threads() if folder else 1,
        }
        self._identity = f"{folder.digest if folder else ''} {language}".encode()
        self._kept = kept

    def load(self) -> None:
        """Start it.

        Raises:
            ItemFailed: it cannot be loaded.
        """
        self._workers.ask(self._question | {"load": True}, b"")

    def write(self, samples: Samples) -> Written | None:
        """Return the words of (samples) at 16 kHz; None where the recogniser ends on them."""
        data = np.ascontiguousarray(samples, dtype="<f4").tobytes()
        path = self._kept / f"{hashlib.sha256(self._identity + data).hexdigest()}.json" if self._kept else None
        if path is not None:
            with suppress(OSError, ValueError, TypeError):
                return Written(**json.loads(path.read_bytes()))
        try:
            with self._turns:
                found, _ = self._workers.ask(self._question, data)
        except ItemFailed:
            return None
        written = Written(found["text"], found["confidence"])
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part")
            part.write_text(json.dumps(asdict(written)), encoding="utf-8")
            part.replace(path)
        return written


def is_recognised(language: str, *, has_folder: bool) -> bool:
    """Return whether there is a recogniser of a job's language."""
    return has_folder or language in BUILT_IN


@contextmanager
def open_recogniser(job: TrainingJob, scratch: Path, kept: Path | None = None) -> Iterator[Recogniser | None]:
    """Yield the recogniser of a job's language, None where there is none, and end its processes afterwards.

    Raises:
        Refused: the installation's folder cannot be used.
    """
    if job.recogniser is None:
        if job.language not in BUILT_IN:
            yield None
            return
        with Workers(Path(recogniser_process.__file__), BUILT_IN_BOUNDS) as workers:
            yield Recogniser(workers, job.language, None, kept)
        return
    folder = fetch_folder(job.recogniser, job.language, scratch)
    bounds = children.Bounds(
        wall_seconds=900.0,
        cpu_seconds=48 * 3600,
        memory=2 * folder.size + BESIDE_WEIGHTS,  # half precision is doubled
    )
    with Workers(Path(recogniser_process.__file__), bounds, OFFLINE) as workers:
        recogniser = Recogniser(workers, job.language, folder, kept)
        try:
            recogniser.load()
        except ItemFailed as error:
            raise Refused(
                f"the recogniser {job.recogniser.uri} cannot be loaded: {error}", reason="RecogniserRejected"
            ) from error
        yield recogniser
