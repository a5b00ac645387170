"""Other published voices, by the recordings in their bundles: which of them a new voice is nearest to."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import soundfile

from voice_store import BundleCache, DigestMismatch, InvalidIndex, NotFound, open_store
from voice_trainer.evaluation.sentence_scores import Embedding, Meter
from voice_trainer.job.bundle import MIB, REFERENCE, bundles_with
from voice_trainer.job.document import Neighbour
from voice_trainer.recordings import audio
from voice_trainer.recordings.decoding import Samples

logger = logging.getLogger(__name__)

HEARD: Final = bundles_with("neighbours", REFERENCE, size_limit=32 * MIB)


def embeddings_of(neighbours: Iterable[Neighbour], meter: Meter, scratch: Path) -> dict[str, Embedding]:
    """Return the speaker of each voice's reference recording; a voice that is gone meanwhile is left out.

    Raises:
        StoreError: the store does not answer; another attempt may succeed.
    """
    names: list[str] = []

    def sounds() -> Iterator[Samples]:
        for one in neighbours:
            sound = _reference(one, scratch)
            if sound is not None:
                names.append(one.voice)
                yield sound

    found = list(meter.measure_all(sounds(), recognise=False))
    return {name: one.embedding for name, one in zip(names, found, strict=True) if one.embedding is not None}


def nearest(spoken: Sequence[Embedding], others: dict[str, Embedding]) -> str:
    """Return the voice that the sentences are most similar to on average; empty: there is none."""
    if not spoken or not others:
        return ""
    centre = np.sum(spoken, axis=0)
    return max(others, key=lambda name: (float(centre @ others[name]), name))


def _reference(neighbour: Neighbour, scratch: Path) -> Samples | None:
    """Return the recording at 16 kHz."""
    try:
        folder = BundleCache(scratch).fetch(HEARD, lambda: open_store(neighbour.uri), neighbour.digest)
        samples, rate = soundfile.read(folder / REFERENCE, dtype="float32")
    except (NotFound, DigestMismatch, InvalidIndex, soundfile.LibsndfileError) as error:
        logger.warning("evaluate: %s is not compared: %s", neighbour.voice, error)
        return None
    return audio.resample(samples, rate, audio.ANALYSIS_RATE)
