"""Sums up what was measured into the document `voice.json`; pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from dev.voice_bench.measures import LONGEST, SHORTEST, total
from dev.voice_bench.readers import LJSPEECH
from dev.voice_bench.samples import FliteResult, ReaderResult, Sample
from dev.voice_bench.targets import targets_of

KINDS = ("recording", "copy_synthesis", "token_forced", "without_adapter", "lora")
DIGITS = 4

Document = dict[str, Any]
Centroids = Mapping[str, Sequence[float]]


def document_of(readers: Sequence[ReaderResult], flites: Sequence[FliteResult], centroids: Centroids) -> Document:
    """Return everything that is known; docs/voice-quality.md tells what each key means.

    Args:
        readers: may be none, where only the base is measured.
        flites: at least one.
        centroids: the unit vector of every reader's recordings, of those too whose voices were not trained.
    """
    first = sorted(readers, key=lambda one: one.reader != LJSPEECH)[:1]
    best = min(flites, key=lambda one: (total([sample.words for sample in one.samples["base"]]) or 0, one.voice))
    everybody = figures(readers, centroids)
    shown = figures(first, centroids)
    base_voices = {one.voice: _base_voice(one) for one in flites}
    document = everybody | {
        # side by side: one reader, and the base in its best voice
        **{name: shown[name] | base_voices[best.voice][name] for name in ("wer", "phone_error")},
        "shown_reader": first[0].reader if first else "",
        "base_voice": best.voice,
        "readers": {one.reader: _reader(one, centroids) for one in readers},
        "seen": figures([one for one in readers if one.seen], centroids),
        "unseen": figures([one for one in readers if not one.seen], centroids),
        "base_voices": base_voices,
    }
    targets = targets_of(document)
    return document | {"targets": [target.document() for target in targets]}


def figures(readers: Sequence[ReaderResult], centroids: Centroids) -> Document:
    """Return the figures of readers taken together; None where there is nothing to measure."""
    own = [(one.reader, sample) for one in readers for sample in one.samples["lora"]]
    plain = [(one.reader, sample) for one in readers for sample in one.samples["without_adapter"]]
    real = [(one.reader, sample) for one in readers for sample in one.samples["recording"]]
    of_kind = {kind: [sample for one in readers for sample in one.samples[kind]] for kind in KINDS}
    copies, forced, said = of_kind["copy_synthesis"], of_kind["token_forced"], of_kind["lora"]
    return {
        "wer": {kind: _rounded(total([sample.words for sample in of_kind[kind]])) for kind in KINDS},
        "phone_error": {kind: _rounded(total([sample.phones for sample in of_kind[kind]])) for kind in KINDS},
        "closed_set": _share([bool(sample.picked) for sample in said]),
        "closed_set_without_adapter": _share([bool(sample.picked) for _, sample in plain]),
        "similarity": {
            "own": _mean([_own(one, centroids) for one in own]),
            "nearest_other": _mean([_other(one, centroids) for one in own]),
            "without_adapter": _mean([_own(one, centroids) for one in plain]),
            "recording": _mean([_own(one, centroids) for one in real]),
            "recording_nearest_other": _mean([_other(one, centroids) for one in real]),
        },
        "nearest_is_own": _share([_is_nearest(one, centroids) for one in own]),
        "nearest_is_own_recordings": _share([_is_nearest(one, centroids) for one in real]),
        "above_without_adapter": _share(
            [_own(after, centroids) > _own(before, centroids) for after, before in zip(own, plain, strict=True)]
        ),
        **manners(said),
        "pesq": {
            "copy_synthesis": _mean([sample.pesq for sample in copies]),
            "token_forced": _mean([sample.pesq for sample in forced]),
            "token_forced_without_adapter": _mean([one.base_scores.get("pesq") for one in readers]),
        },
        "stoi": {
            "copy_synthesis": _mean([sample.stoi for sample in copies]),
            "token_forced": _mean([sample.stoi for sample in forced]),
            "token_forced_without_adapter": _mean([one.base_scores.get("stoi") for one in readers]),
        },
        "train_seconds": max((one.train_seconds for one in readers), default=None),
    }


def manners(said: Sequence[Sample]) -> Document:
    """Return how sentences were spoken, whatever the words: durations, loops, ends."""
    ratios = [sample.duration_ratio for sample in said if sample.duration_ratio is not None]
    return {
        "duration_ratio": {
            "min": _rounded(min(ratios, default=None)),
            "max": _rounded(max(ratios, default=None)),
            "median": _rounded(statistics.median(ratios) if ratios else None),
        },
        "repetition_rate": _share([bool(sample.repeats) for sample in said]),
        "early_stop_rate": _share([ratio < SHORTEST for ratio in ratios]),
        "late_stop_rate": _share([ratio > LONGEST for ratio in ratios]),
        "runaway_rate": _share([bool(sample.runaway) for sample in said]),
        "noisy_tail_rate": _share([bool(sample.noisy_tail) for sample in said]),
    }


def _reader(one: ReaderResult, centroids: Centroids) -> Document:
    return {
        "seen": one.seen,
        "speech_seconds": round(one.speech_seconds, 1),
        **figures([one], centroids),
        "train_cpu_seconds": one.train_cpu_seconds,
        "training_loop_seconds": one.training_loop_seconds,
        "gates_passed": one.gates_passed,
        "prompt": one.prompt,
        "similarities": {
            name: _mean([sample.similarities(centroids)[name] for sample in one.samples["lora"]]) for name in centroids
        },
        "samples": {kind: [_sample(sample) for sample in samples] for kind, samples in one.samples.items()},
    }


def _base_voice(one: FliteResult) -> Document:
    said = one.samples["base"]
    return {
        "wer": {kind: _rounded(total([sample.words for sample in found])) for kind, found in one.samples.items()},
        "phone_error": {
            kind: _rounded(total([sample.phones for sample in found])) for kind, found in one.samples.items()
        },
        "closed_set": _share([bool(sample.picked) for sample in said]),
        "closed_set_flite": _share([bool(sample.picked) for sample in one.samples["flite"]]),
        **manners(said),
        "samples": {kind: [_sample(sample) for sample in samples] for kind, samples in one.samples.items()},
    }


def _sample(sample: Sample) -> Document:
    row = sample.model_dump(exclude={"vector"}, exclude_none=True)
    return {name: round(value, DIGITS) if isinstance(value, float) else value for name, value in row.items()}


def _own(one: tuple[str, Sample], centroids: Centroids) -> float:
    reader, sample = one
    return sample.similarities(centroids)[reader]


def _other(one: tuple[str, Sample], centroids: Centroids) -> float | None:
    reader, sample = one
    others = [value for name, value in sample.similarities(centroids).items() if name != reader]
    return max(others, default=None)


def _is_nearest(one: tuple[str, Sample], centroids: Centroids) -> bool:
    other = _other(one, centroids)
    return other is not None and _own(one, centroids) > other


def _share(answers: Sequence[bool]) -> float | None:
    return _rounded(sum(answers) / len(answers)) if answers else None


def _mean(values: Sequence[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return _rounded(statistics.fmean(defined)) if defined else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DIGITS)
