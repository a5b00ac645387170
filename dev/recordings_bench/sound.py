"""Noise: ratings, PESQ and STOI before and after it is removed; and faults that must be told, on other clips."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np

from dev.recordings_bench.speech import (
    RATE,
    Utterance,
    clipped,
    each_mixture,
    in_a_room,
    sound_of,
    telephone,
    with_hum,
)
from sovits_core.cpus import usable_cpus
from voice_trainer.evaluation.scores import compare
from voice_trainer.job.workers import Workers
from voice_trainer.recordings import acoustics, measures
from voice_trainer.recordings.audio import resample
from voice_trainer.recordings.decoding import Samples
from voice_trainer.recordings.denoising import RATE as DENOISING_RATE
from voice_trainer.recordings.examination import NOISY_SNR_DB, Ratings, is_better
from voice_trainer.recordings.measures import Measure
from voice_trainer.recordings.vad import FRAME, detect

LEVELS: Final = (0.0, 5.0, 10.0, 20.0)  # dB


def noise_rows(
    workers: Workers, clips: Sequence[Utterance], crowd: Sequence[Utterance], data: Path
) -> list[dict[str, Any]]:
    """Return one row for each noise and level, and one for the clips as they are: means over the clips."""
    mixtures = [("none", 99.0, clip, clip.samples) for clip in clips]
    mixtures += each_mixture(clips, data, crowd, LEVELS)
    with ThreadPoolExecutor(usable_cpus()) as pool:
        found = list(pool.map(lambda one: _compared(workers, one[2].samples, one[3]), mixtures))
    rows = []
    for name, level in dict.fromkeys((one[0], one[1]) for one in mixtures):
        mine = [result for one, result in zip(mixtures, found, strict=True) if (one[0], one[1]) == (name, level)]
        means = {key: round(float(np.mean([one[key] for one in mine])), 3) for key in mine[0]}
        worst = round(float(min(one["stoiUsed"] - one["stoiBefore"] for one in mine)), 3)
        rows.append({"noise": name, "levelDb": level, "clips": len(mine)} | means | {"worstStoiChange": worst})
    return rows


def _compared(workers: Workers, clean: Samples, noisy: Samples) -> dict[str, float]:
    """Return the figures of one clip; ``used`` are those of the copy that ``denoise: auto`` takes."""
    _, data = workers.ask({"op": "denoise"}, resample(noisy, RATE, DENOISING_RATE).tobytes())
    removed = resample(np.frombuffer(data, dtype="<f4"), DENOISING_RATE, RATE)
    before, after = _ratings(workers, noisy), _ratings(workers, removed)
    was, is_ = compare(clean, noisy), compare(clean, removed)
    takes_copy = sound_of(noisy).snr_db < NOISY_SNR_DB and is_better(before, after)
    return {
        "snrDb": sound_of(noisy).snr_db,
        "overallBefore": before.overall,
        "overallAfter": after.overall,
        "speechBefore": before.speech,
        "speechAfter": after.speech,
        "pesqBefore": was.pesq or 1.0,
        "pesqAfter": is_.pesq or 1.0,
        "stoiBefore": was.stoi or 0.0,
        "stoiAfter": is_.stoi or 0.0,
        "stoiUsed": (is_.stoi if takes_copy else was.stoi) or 0.0,
        "denoisedByAuto": float(takes_copy),
    }


def _ratings(workers: Workers, samples: Samples) -> Ratings:
    question = {"op": "measure", "samples": len(samples), "rate": RATE, "language": ""}
    answer, _ = workers.ask(question, samples.astype("<f4").tobytes() * 2)
    return Ratings.model_validate(answer["ratings"])


def fault_rows(clips: Sequence[Utterance]) -> list[dict[str, Any]]:
    """Return how often each fault is told, and how often it is told of clips that have none."""
    rng = np.random.default_rng(2)
    faults: list[tuple[Measure, str, Callable[[Samples], Samples]]] = [
        (measures.CLIPPED, "none", lambda samples: samples),
        (measures.CLIPPED, "overdriven by 6 dB", lambda samples: clipped(samples, 6)),
        (measures.CLIPPED, "overdriven by 10 dB", lambda samples: clipped(samples, 10)),
        (measures.CLIPPED, "overdriven by 40 dB", lambda samples: clipped(samples, 40)),
        (measures.BANDWIDTH, "none", lambda samples: samples),
        (measures.BANDWIDTH, "telephone", telephone),
        (measures.REVERBERATION, "none", lambda samples: samples),
        (measures.REVERBERATION, "room of 0.6 s", lambda samples: in_a_room(samples, 0.6, rng)),
        (measures.REVERBERATION, "room of 1.0 s", lambda samples: in_a_room(samples, 1.0, rng)),
        (measures.HUM, "none", lambda samples: samples),
        (measures.HUM, "50 Hz at -20 dB", lambda samples: with_hum(samples, -20)),
        (measures.HUM, "60 Hz at -10 dB", lambda samples: with_hum(samples, -10, 60)),
    ]
    rows = []
    for measure, fault, spoil in faults:
        values = [_value(measure, spoil(clip.samples)) for clip in clips]
        verdicts = [None if value is None else measure.severity(value) for value in values]
        known = [value for value in values if value is not None]
        rows.append(
            {
                "measure": measure.title,
                "fault": fault,
                "clips": len(clips),
                "median": round(float(np.median(known)), 3),
                "told": sum(verdict is not None for verdict in verdicts),
                "leftOut": sum(verdict == "refusal" for verdict in verdicts),
            }
        )
    return rows


def _value(measure: Measure, samples: Samples) -> float | None:
    if measure is measures.CLIPPED:
        return 100 * acoustics.clipped_share(samples)
    if measure is measures.BANDWIDTH:
        return acoustics.bandwidth(samples, RATE)
    if measure is measures.REVERBERATION:
        return acoustics.decay_seconds(samples, RATE)
    voiced = detect(samples).voiced
    spoken = samples[: len(voiced) * FRAME].reshape(-1, FRAME)[voiced]
    return acoustics.hum(samples, RATE, float(np.mean(np.square(spoken, dtype=np.float64))))
