"""Sentences that a voice speaks, measured: words, sound, speaker, and whether it loops, stops or hurries."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from sovits_core.features.speaker import verification_embedding
from sovits_core.models import SpeakerEncoder
from sovits_core.synthesis.repetition import LOOP_TIMES, most_repeated
from voice_trainer.evaluation import measuring_process
from voice_trainer.evaluation.estimates import Estimate, mean_of, rate_of, share_of, widened
from voice_trainer.evaluation.synthesis import Synthesis
from voice_trainer.job import children
from voice_trainer.job.document import TrainingJob
from voice_trainer.job.workers import ItemFailed, Workers
from voice_trainer.recognition.error_rates import Errors, compare_texts
from voice_trainer.recognition.recogniser import Recogniser, open_recogniser
from voice_trainer.recordings import audio
from voice_trainer.recordings.audio import ANALYSIS_RATE
from voice_trainer.recordings.clips import Clip
from voice_trainer.recordings.decoding import Samples

MIN_SPEECH: Final = int(0.3 * ANALYSIS_RATE)  # samples under a speaker embedding
MAX_WORKERS: Final = 3  # each has all models
BOUNDS: Final = children.Bounds(wall_seconds=180.0, cpu_seconds=6 * 3600, memory=1024 * children.MIB)

Embedding = NDArray[np.float64]  # of length 1


@dataclass(frozen=True)
class Measures:
    """What is known of one waveform; None where a measure is not defined for it."""

    recognised: str | None
    dnsmos: float | None
    embedding: Embedding | None
    speech_seconds: float | None
    longest_pause: float | None


class Meter:
    """Measures waveforms in processes of its own, several at a time."""

    def __init__(
        self, workers: Workers, language: str, recogniser: Recogniser | None, encoder: SpeakerEncoder | None
    ) -> None:
        """Take speakers by ``encoder``, the base's own; without one by GE2E, in the processes."""
        self.language = language
        self.recogniser = recogniser.name if recogniser else ""
        self._workers = workers
        self._recogniser = recogniser
        self._encoder = encoder

    def measure_all(self, waves: Iterable[Samples], *, recognise: bool = True) -> Iterator[Measures]:
        """Measure (samples) at 16 kHz each, in their order, while the next ones are still being made.

        Recognising takes longest: without ``recognise`` nothing is written.
        """
        recogniser = self._recogniser if recognise else None
        with ThreadPoolExecutor(max(1, min(MAX_WORKERS, os.cpu_count() or 1))) as pool:
            asked = ((wave, self._embed(wave), recogniser) for wave in waves)
            try:
                yield from pool.map(lambda one: self._measure(*one), asked)
            except BaseException:  # also while they are being made: what waits is not waited for
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _measure(self, wave: Samples, embedding: Embedding | None, recogniser: Recogniser | None) -> Measures:
        try:
            found: dict[str, Any] = self._workers.ask({}, _bytes(wave))[0]
        except ItemFailed:  # nothing is known of a waveform that models end on
            return Measures(None, None, None, None, None)
        if self._encoder is None and found["embedding"] is not None:
            embedding = np.array(found["embedding"], dtype=np.float64)
        written = recogniser.write(wave) if recogniser else None
        return Measures(
            written.text if written else None,
            found["overall"],
            embedding,
            found["speechSeconds"],
            found["longestPause"],
        )

    def _embed(self, wave: Samples) -> Embedding | None:
        if self._encoder is None or len(wave) < MIN_SPEECH:
            return None
        device = next(self._encoder.parameters()).device
        vector = verification_embedding(self._encoder, torch.from_numpy(wave).to(device), ANALYSIS_RATE)
        return unit(vector[0].double().cpu().numpy())


@contextmanager
def open_meter(job: TrainingJob, scratch: Path, encoder: SpeakerEncoder | None) -> Iterator[Meter]:
    """Yield what measures, and end its processes afterwards.

    Raises:
        Refused: the installation's recogniser cannot be used.
    """
    with (
        Workers(Path(measuring_process.__file__), BOUNDS) as workers,
        open_recogniser(job, scratch) as recogniser,
    ):
        yield Meter(workers, job.language, recogniser, encoder)


@dataclass(frozen=True)
class Speaker:
    """The person whose voice it is, as the held-out recordings have them."""

    centre: Embedding | None
    """The mean of their embeddings."""
    seconds_per_phone: float
    """Of speech without pauses, over all recordings."""
    left_out: tuple[Embedding, ...] = ()
    """The same mean without each of them: few recordings are an uncertain measure."""

    def similarity(self, measured: Measures) -> float | None:
        """Return the cosine between a waveform's speaker and this one."""
        if self.centre is None or measured.embedding is None:
            return None
        return float(measured.embedding @ self.centre)

    def similarities(self, measured: Measures) -> tuple[float, ...]:
        """Return the cosines where each recording is left out."""
        return tuple(float(measured.embedding @ one) for one in self.left_out if measured.embedding is not None)


def speaker_of(recordings: Sequence[Measures], clips: Sequence[Clip]) -> Speaker:
    """Return the speaker of held-out recordings, and how fast they speak in all clips."""
    embeddings = [one.embedding for one in recordings if one.embedding is not None]
    total = np.sum(embeddings, axis=0)
    others = tuple(unit(total - one) for one in embeddings) if len(embeddings) > 1 else ()
    phones = sum(spoken_phones(clip.phones) for clip in clips)
    seconds = sum(clip.speech_seconds for clip in clips)
    return Speaker(unit(total) if embeddings else None, seconds / max(1, phones), others)


@dataclass(frozen=True)
class SentenceScores:
    """One sentence as it was spoken; None where a measure is not defined for it."""

    text: str
    recognised: str | None
    errors: Errors | None
    similarity: float | None
    similarities: tuple[float, ...]
    """Where each recording of the speaker is left out."""
    dnsmos: float | None
    duration_ratio: float | None
    ended: bool
    repeats: bool
    longest_pause: float | None
    seconds: float
    embedding: Embedding | None = field(default=None, compare=False)
    """Of its speaker."""


def score(  # noqa: PLR0917 -- one call, each of its own type
    text: str, spoken: Synthesis, rate: int, measured: Measures, speaker: Speaker, language: str
) -> SentenceScores:
    """Return the scores of a sentence that was spoken at ``rate`` Hz."""
    expected = speaker.seconds_per_phone * spoken_phones(spoken.phones)
    return SentenceScores(
        text=text,
        recognised=measured.recognised,
        errors=None if measured.recognised is None else compare_texts(spoken.normalized, measured.recognised, language),
        similarity=speaker.similarity(measured),
        similarities=speaker.similarities(measured),
        dnsmos=measured.dnsmos,
        duration_ratio=measured.speech_seconds / expected if expected and measured.speech_seconds is not None else None,
        ended=spoken.ended,
        repeats=most_repeated(spoken.tokens) >= LOOP_TIMES,
        longest_pause=measured.longest_pause,
        seconds=len(spoken.samples) / rate,
        embedding=measured.embedding,
    )


def sentence_estimates(sentences: Sequence[SentenceScores]) -> dict[str, Estimate]:
    """Return each metric over the sentences, without those that no sentence has."""
    errors = [one.errors for one in sentences if one.errors is not None]
    return _present(
        {
            "speakerSimilarity": _similarity(sentences),
            **_error_rates(errors),
            "dnsmos": mean_of([one.dnsmos for one in sentences]),
            "durationRatio": mean_of([one.duration_ratio for one in sentences]),
            "noEndTokenRate": share_of([not one.ended for one in sentences]),
            "repetitionRate": share_of([one.repeats for one in sentences]),
            "longestPause": mean_of([one.longest_pause for one in sentences]),
        }
    )


def recording_estimates(
    recordings: Sequence[Measures], texts: Sequence[str], language: str, *, locale: str = ""
) -> dict[str, Estimate]:
    """Return what the same measures say of the held-out recordings; each is compared with the speaker of the others."""
    pairs = zip(recordings, texts, strict=True)
    errors = [
        compare_texts(text, one.recognised, language, locale=locale)
        for one, text in pairs
        if one.recognised is not None
    ]
    return _present(
        {
            "speakerSimilarity": mean_of(_similarities_among([one.embedding for one in recordings])),
            **_error_rates(errors),
            "dnsmos": mean_of([one.dnsmos for one in recordings]),
            "longestPause": mean_of([one.longest_pause for one in recordings]),
        }
    )


def _similarity(sentences: Sequence[SentenceScores]) -> Estimate | None:
    """Return the mean similarity; its interval is for other sentences, and for other recordings of the speaker."""
    found = mean_of([one.similarity for one in sentences])
    rows = [one.similarities for one in sentences if one.similarities]
    return widened(found, np.mean(rows, axis=0).tolist()) if found and rows else found


def _error_rates(errors: Sequence[Errors]) -> dict[str, Estimate | None]:
    return {
        "cer": rate_of([one.wrong_characters for one in errors], [one.characters for one in errors]),
        "wer": rate_of([one.wrong_words for one in errors], [one.words for one in errors]),
    }


def _similarities_among(embeddings: Sequence[Embedding | None]) -> list[float]:
    known = [one for one in embeddings if one is not None]
    if len(known) < 2:
        return []
    total = np.sum(known, axis=0)
    return [float(one @ unit(total - one)) for one in known]


def _present(found: dict[str, Estimate | None]) -> dict[str, Estimate]:
    return {name: value for name, value in found.items() if value is not None}


def spoken_phones(phones: Sequence[str]) -> int:
    """Return how many of the phones make a sound: no punctuation, no pause."""
    return sum(phone[0].isalpha() and not phone.startswith(("SP", "UNK")) for phone in phones)


def unit(vector: NDArray[Any]) -> Embedding:
    """Return a vector of length 1."""
    result: Embedding = vector.astype(np.float64) / max(float(np.linalg.norm(vector)), 1e-12)
    return result


def _bytes(wave: Samples) -> bytes:
    return np.ascontiguousarray(wave, dtype="<f4").tobytes()


def at_analysis_rate(spoken: Synthesis, rate: int) -> Samples:
    """Return a spoken sentence at 16 kHz."""
    return audio.resample(spoken.samples, rate, ANALYSIS_RATE)
