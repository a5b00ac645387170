"""Clips in which a second reader goes on where the first one ends, beside clips of one reader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from dev.recordings_bench.speech import RATE, Utterance
from voice_trainer.recordings.decoding import Samples
from voice_trainer.recordings.measures import AGREEMENT
from voice_trainer.recordings.speakers import SpeakerEncoder, agreement
from voice_trainer.recordings.vad import FRAME, detect

MIXTURES: Final = 120
SECONDS: Final = (4.0, 10.0)  # of speech in a mixture
SHARE: Final = (0.3, 0.7)  # of it by the first reader


def joined_rows(readers: Mapping[str, Sequence[Utterance]], seed: int = 0) -> list[dict[str, Any]]:
    """Return how clips of one reader and of two are judged; those with too little speech are not."""
    encoder, rng, names = SpeakerEncoder(), np.random.default_rng(seed), list(readers)
    spoken = {name: [_speech(clip.samples) for clip in clips] for name, clips in readers.items()}
    alone = [agreement(encoder.partials(clip)) for clips in spoken.values() for clip in clips]
    mixed = []
    for _ in range(MIXTURES):
        first, second = (spoken[names[int(number)]] for number in rng.choice(len(names), 2, replace=False))
        one, other = first[rng.integers(len(first))], second[rng.integers(len(second))]
        samples, share = RATE * rng.uniform(*SECONDS), rng.uniform(*SHARE)
        sound = np.concatenate([one[: int(samples * share)], other[: int(samples * (1 - share))]])
        mixed.append(agreement(encoder.partials(sound)))
    return [_row("one reader", alone), _row("two readers", mixed)]


def _speech(samples: Samples) -> Samples:
    voiced = detect(samples).voiced
    speech: Samples = samples[: len(voiced) * FRAME].reshape(-1, FRAME)[voiced].reshape(-1)
    return speech


def _row(name: str, values: Sequence[float | None]) -> dict[str, Any]:
    judged = [value for value in values if value is not None]
    verdicts = [AGREEMENT.severity(value) for value in judged]
    return {
        "clips": name,
        "judged": len(judged),
        "told": sum(verdict is not None for verdict in verdicts),
        "leftOut": verdicts.count("refusal"),
        "lowest": round(min(judged), 2),
        "highest": round(max(judged), 2),
    }
