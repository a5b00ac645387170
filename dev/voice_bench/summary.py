"""Summarises the results in the document `voice.json`; pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from dev.voice_bench.measures import MAX_DURATION_RATIO, MIN_DURATION_RATIO, total
from dev.voice_bench.samples import FliteResult, Sample, SpeakerResult
from dev.voice_bench.speakers import LJSPEECH
from dev.voice_bench.targets import targets_of

CONDITIONS = ("recording", "copy_synthesis", "token_forced", "zero_shot", "fine_tuned")
DIGITS = 4

Document = dict[str, Any]
Centroids = Mapping[str, Sequence[float]]


def document_of(results: Sequence[SpeakerResult], flites: Sequence[FliteResult], centroids: Centroids) -> Document:
    """Return the whole document; docs/voice-quality.md defines its keys.

    Args:
        results: of speakers; empty where the base alone is measured.
        flites: at least one.
        centroids: the unit vector of every speaker's recordings, also of those whose voices were not trained.
    """
    first = sorted(results, key=lambda one: one.speaker != LJSPEECH)[:1]
    best = min(flites, key=lambda one: (total([sample.words for sample in one.samples["base"]]) or 0, one.voice))
    everybody = measures_of(results, centroids)
    shown = measures_of(first, centroids)
    base_voices = {one.voice: _base_voice(one) for one in flites}
    document = everybody | {
        # one speaker, and the base in its best voice
        **{name: shown[name] | base_voices[best.voice][name] for name in ("wer", "phone_error")},
        "shown_speaker": first[0].speaker if first else "",
        "base_voice": best.voice,
        "speakers": {one.speaker: _speaker(one, centroids) for one in results},
        "seen": measures_of([one for one in results if one.seen], centroids),
        "unseen": measures_of([one for one in results if not one.seen], centroids),
        "base_voices": base_voices,
    }
    targets = targets_of(document)
    return document | {"targets": [target.document() for target in targets]}


def measures_of(results: Sequence[SpeakerResult], centroids: Centroids) -> Document:
    """Return the measures over all speakers' sentences; None without any."""
    own = [(one.speaker, sample) for one in results for sample in one.samples["fine_tuned"]]
    zero_shot = [(one.speaker, sample) for one in results for sample in one.samples["zero_shot"]]
    real = [(one.speaker, sample) for one in results for sample in one.samples["recording"]]
    samples = {condition: [sample for one in results for sample in one.samples[condition]] for condition in CONDITIONS}
    copies, forced, synthesized = (samples[name] for name in ("copy_synthesis", "token_forced", "fine_tuned"))
    return {
        "wer": {name: _rounded(total([sample.words for sample in found])) for name, found in samples.items()},
        "phone_error": {name: _rounded(total([sample.phones for sample in found])) for name, found in samples.items()},
        "closed_set_accuracy": _share([bool(sample.picked) for sample in synthesized]),
        "closed_set_accuracy_zero_shot": _share([bool(sample.picked) for _, sample in zero_shot]),
        "secs": {
            "own": _mean([_own(one, centroids) for one in own]),
            "nearest_other": _mean([_other(one, centroids) for one in own]),
            "zero_shot": _mean([_own(one, centroids) for one in zero_shot]),
            "recording": _mean([_own(one, centroids) for one in real]),
            "recording_nearest_other": _mean([_other(one, centroids) for one in real]),
        },
        "speaker_identification_accuracy": _share([_is_nearest(one, centroids) for one in own]),
        "speaker_identification_accuracy_recordings": _share([_is_nearest(one, centroids) for one in real]),
        "secs_above_zero_shot": _share(
            [_own(after, centroids) > _own(before, centroids) for after, before in zip(own, zero_shot, strict=True)]
        ),
        **stability(synthesized),
        "pesq": {
            "copy_synthesis": _mean([sample.pesq for sample in copies]),
            "token_forced": _mean([sample.pesq for sample in forced]),
            "token_forced_zero_shot": _mean([one.base_scores.get("pesq") for one in results]),
        },
        "stoi": {
            "copy_synthesis": _mean([sample.stoi for sample in copies]),
            "token_forced": _mean([sample.stoi for sample in forced]),
            "token_forced_zero_shot": _mean([one.base_scores.get("stoi") for one in results]),
        },
        "train_seconds": max((one.train_seconds for one in results), default=None),
    }


def stability(samples: Sequence[Sample]) -> Document:
    """Return the stability of synthesis: durations, loops, ends."""
    ratios = [sample.duration_ratio for sample in samples if sample.duration_ratio is not None]
    return {
        "duration_ratio": {
            "min": _rounded(min(ratios, default=None)),
            "max": _rounded(max(ratios, default=None)),
            "median": _rounded(statistics.median(ratios) if ratios else None),
        },
        "repetition_rate": _share([bool(sample.repeats) for sample in samples]),
        "early_stop_rate": _share([ratio < MIN_DURATION_RATIO for ratio in ratios]),
        "late_stop_rate": _share([ratio > MAX_DURATION_RATIO for ratio in ratios]),
        "max_length_rate": _share([bool(sample.max_length) for sample in samples]),
        "trailing_noise_rate": _share([bool(sample.trailing_noise) for sample in samples]),
    }


def _speaker(one: SpeakerResult, centroids: Centroids) -> Document:
    return {
        "seen": one.seen,
        "speech_seconds": round(one.speech_seconds, 1),
        **measures_of([one], centroids),
        "train_cpu_seconds": one.train_cpu_seconds,
        "training_loop_seconds": one.training_loop_seconds,
        "gates_passed": one.gates_passed,
        "prompt": one.prompt,
        "secs_by_speaker": {
            name: _mean([sample.secs(centroids)[name] for sample in one.samples["fine_tuned"]]) for name in centroids
        },
        "samples": {condition: [_sample(sample) for sample in samples] for condition, samples in one.samples.items()},
    }


def _base_voice(one: FliteResult) -> Document:
    synthesized = one.samples["base"]
    return {
        "wer": {name: _rounded(total([sample.words for sample in found])) for name, found in one.samples.items()},
        "phone_error": {
            name: _rounded(total([sample.phones for sample in found])) for name, found in one.samples.items()
        },
        "closed_set_accuracy": _share([bool(sample.picked) for sample in synthesized]),
        "closed_set_accuracy_flite": _share([bool(sample.picked) for sample in one.samples["flite"]]),
        **stability(synthesized),
        "samples": {condition: [_sample(sample) for sample in samples] for condition, samples in one.samples.items()},
    }


def _sample(sample: Sample) -> Document:
    row = sample.model_dump(exclude={"embedding"}, exclude_none=True)
    return {name: round(value, DIGITS) if isinstance(value, float) else value for name, value in row.items()}


def _own(one: tuple[str, Sample], centroids: Centroids) -> float:
    speaker, sample = one
    return sample.secs(centroids)[speaker]


def _other(one: tuple[str, Sample], centroids: Centroids) -> float | None:
    speaker, sample = one
    others = [value for name, value in sample.secs(centroids).items() if name != speaker]
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
