"""One clip from its samples to finished copies: measured, denoised where that is better, brought to one loudness."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import tempfile
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from pydantic import ValidationError

from voice_trainer.job import children
from voice_trainer.job.document import Document
from voice_trainer.job.workers import ItemFailed, Workers
from voice_trainer.recordings import audio, examiner_process
from voice_trainer.recordings.decoding import Samples
from voice_trainer.recordings.denoising import RATE as DENOISING_RATE
from voice_trainer.recordings.loudness import Loudness, level_to

logger = logging.getLogger(__name__)

Denoise = Literal["auto", "always", "never"]

VERSION: Final = 4  # of what is below: finished clips of another version are worked on again
LOUDNESS: Final = -16.0  # dBFS RMS
NOISY_SNR_DB: Final = 15.0  # below it `auto` tries whether the clip is better without its noise
MIN_GAIN: Final = 0.1  # of the overall rating: less is not worth a changed recording
MAX_SPEECH_LOSS: Final = 0.1  # of the speech's rating: what it may lose of the voice itself
MAX_WORKERS: Final = 3  # each has all models, 290 MiB; together with the job they stay below 1 GiB

RESULT: Final = "result.json"
PART: Final = ".part-"  # of the names of folders that are not finished
TRAINING: Final = "training.flac"
ANALYSIS: Final = "analysis.flac"
ORIGINAL: Final = "original.flac"
DENOISED: Final = "denoised.flac"

BOUNDS: Final = children.Bounds(
    wall_seconds=180.0,  # for one clip
    cpu_seconds=6 * 3600,  # for all clips of one process
    memory=1024 * children.MIB,
    file_bytes=256 * children.MIB,
)


class Ratings(Document):
    """DNSMOS P.835, 1 to 5."""

    speech: float
    background: float
    overall: float


class Examination(Document):
    """All that is known of one clip by itself."""

    clipped_percent: float
    bandwidth_hz: float
    hum_db: float
    decay_seconds: float | None
    steady_tones: float | None
    """Of the copy that is used; None: too short."""
    snr_db: float
    ratings: Ratings
    """Of the recording."""
    ratings_denoised: Ratings | None = None
    """Of the denoised copy, where one was made."""
    denoised: bool = False
    """Whether the denoised copy is the one that is used."""
    embedding: tuple[float, ...]
    voice_agreement: float | None = None
    """Of the voice before and after a moment; None: too little speech."""
    heard: tuple[str, ...] | None
    """Recognised phones; None: there is no recogniser of the language."""
    fingerprint: str
    """The bytes of (frames, 32) signs, as hex digits."""
    seconds: float
    rms_dbfs: float
    true_peak_dbtp: float
    limited_db: float
    limited_percent: float

    @property
    def used_ratings(self) -> Ratings:
        """The ratings of the copy that is used."""
        return self.ratings_denoised if self.denoised and self.ratings_denoised else self.ratings


@dataclass(frozen=True)
class Sound:
    """A decoded clip."""

    samples: Samples
    rate: int  # Hz
    span: tuple[float, float]  # seconds; what is outside is cut off
    snr_db: float


class Examiner:
    """Works on clips in processes of its own; safe to use from several threads."""

    def __init__(self, workers: Workers, finished: Path, *, language: str, denoise: Denoise, rate: int) -> None:
        """Keep finished clips below ``finished``; training copies have ``rate`` Hz."""
        self._workers = workers
        self._finished = finished
        self._language = language
        self._denoise = denoise
        self._rate = rate
        self._turn = threading.Lock()
        finished.mkdir(parents=True, exist_ok=True)
        for left in finished.glob(f"{PART}*"):  # by a run that was killed
            shutil.rmtree(left, ignore_errors=True)

    def examine(self, sound: Sound) -> tuple[Examination, Path]:
        """Return what is known of a clip and the folder with its copies; a finished one is not worked on again.

        Raises:
            ItemFailed: a model ended on it.
        """
        folder = self._finished / self._key(sound)
        with suppress(OSError, ValidationError):
            return Examination.model_validate_json((folder / RESULT).read_bytes()), folder
        part = Path(tempfile.mkdtemp(prefix=PART, dir=self._finished))
        try:
            examination = self._work(sound, part)
            (part / RESULT).write_text(examination.model_dump_json(by_alias=True), encoding="utf-8")
            with self._turn:  # another thread may have had a clip of the same sound
                if not (folder / RESULT).is_file():
                    shutil.rmtree(folder, ignore_errors=True)  # what is damaged
                    part.rename(folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        return examination, folder

    def _key(self, sound: Sound) -> str:
        parameters = (VERSION, sound.rate, sound.span, self._language, self._denoise, self._rate)
        return hashlib.sha256(repr(parameters).encode() + sound.samples.tobytes()).hexdigest()

    def _work(self, sound: Sound, folder: Path) -> Examination:
        measured, fingerprint = self._measure(sound)
        ratings = Ratings.model_validate(measured["ratings"])
        used, rated = sound, None
        if self._denoise == "always" or (self._denoise == "auto" and sound.snr_db < NOISY_SNR_DB):
            copy = self._without_noise(sound)
            again, _ = self._measure(copy)
            rated = Ratings.model_validate(again["ratings"])
            if self._denoise == "always" or is_better(ratings, rated):
                used = copy
                # Voice and words are those of the copy, because noise hides both; music may be left in it.
                measured |= {name: again[name] for name in ("embedding", "voiceAgreement", "heard", "steadyTones")}
            self._write(folder / (DENOISED if used is sound else ORIGINAL), copy if used is sound else sound)
        training, loudness = self._write(folder / TRAINING, used)
        analysis = audio.resample(training, self._rate, audio.ANALYSIS_RATE)
        audio.write_flac(folder / ANALYSIS, analysis, audio.ANALYSIS_RATE)
        return Examination.model_validate(
            measured
            | {
                "snr_db": sound.snr_db,
                "ratings": ratings,
                "ratings_denoised": rated,
                "denoised": used is not sound,
                "fingerprint": fingerprint.hex(),
                "seconds": round(len(training) / self._rate, 3),
                "rms_dbfs": round(loudness.rms_dbfs, 2),
                "true_peak_dbtp": round(loudness.true_peak_dbtp, 2),
                "limited_db": round(loudness.limited_db, 1),
                "limited_percent": round(100 * loudness.limited_share, 2),
            }
        )

    def _measure(self, sound: Sound) -> tuple[dict[str, Any], bytes]:
        analysis = audio.resample(sound.samples, sound.rate, audio.ANALYSIS_RATE)
        question = {"op": "measure", "samples": len(sound.samples), "rate": sound.rate, "language": self._language}
        return self._workers.ask(question, _bytes(sound.samples) + _bytes(analysis))

    def _without_noise(self, sound: Sound) -> Sound:
        clip = audio.resample(sound.samples, sound.rate, DENOISING_RATE)
        _, data = self._workers.ask({"op": "denoise"}, _bytes(clip))
        samples = np.frombuffer(data, dtype="<f4")
        if len(samples) != len(clip) or not np.isfinite(samples).all():
            raise ItemFailed("the denoised copy is not as long as the recording")
        return Sound(samples, DENOISING_RATE, sound.span, sound.snr_db)

    def _write(self, path: Path, sound: Sound) -> tuple[Samples, Loudness]:
        begin, end = sound.span
        trimmed = sound.samples[int(begin * sound.rate) : int(end * sound.rate)]
        samples, loudness = level_to(audio.resample(trimmed, sound.rate, self._rate), self._rate, LOUDNESS)
        audio.write_flac(path, samples, self._rate)
        return samples, loudness


def open_workers() -> Workers:
    """Return the processes that measure and denoise."""
    return Workers(Path(examiner_process.__file__), BOUNDS)


def place(source: Path, target: Path) -> None:
    """Give a finished file a second name; it is copied where the file system has no links."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def is_better(before: Ratings, after: Ratings) -> bool:
    """Return whether listeners would prefer the denoised copy, and the voice has not suffered."""
    return after.overall >= before.overall + MIN_GAIN and after.speech >= before.speech - MAX_SPEECH_LOSS


def _bytes(samples: Samples) -> bytes:
    return np.ascontiguousarray(samples, dtype="<f4").tobytes()
