"""Datasets with wrong texts and with two speakers: how many wrong clips are found, and how many right suspected."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from dev.recordings_bench.speech import Utterance
from voice_trainer.recordings.examination import Examination
from voice_trainer.recordings.judgement import ExaminedClip, JudgedClip, judge
from voice_trainer.recordings.vad import detect

SHIFTS: Final = (1, 2, 5)  # lines by which a list of texts is shifted
INTRUDERS: Final = (1, 2, 3, 5)  # clips of another reader in a set of ten
REPEATS: Final = 5


def text_rows(clips: Sequence[Utterance], known: Mapping[str, Examination], seed: int = 3) -> list[dict[str, Any]]:
    """Return how clips with wrong texts are judged: all shifted, some swapped, and as they are."""
    rng = np.random.default_rng(seed)
    right = examined(clips, known)
    cases: list[tuple[str, list[ExaminedClip], set[int]]] = [("right", right, set())]
    for shift in SHIFTS:
        phones = [clip.phones for clip in right[shift:] + right[:shift]]
        shifted = [replace(clip, phones=text) for clip, text in zip(right, phones, strict=True)]
        cases.append((f"shifted by {shift}", shifted, set(range(len(right)))))
    for repeat in range(REPEATS):
        chosen = [int(n) for n in rng.choice(len(right), 6, replace=False)]
        swapped = list(right)
        for one, other in zip(chosen[::2], chosen[1::2], strict=True):
            swapped[one] = replace(right[one], phones=right[other].phones)
            swapped[other] = replace(right[other], phones=right[one].phones)
        cases.append((f"three pairs swapped, {repeat + 1}", swapped, set(chosen)))
    return [_row(name, clips_, wrong, "WrongText") for name, clips_, wrong in cases]


def speaker_rows(
    readers: Mapping[str, Sequence[Utterance]], known: Mapping[str, Examination], seed: int = 4
) -> list[dict[str, Any]]:
    """Return how mixtures of two readers are judged, and sets of one reader."""
    rng = np.random.default_rng(seed)
    rows = []
    for reader, clips in readers.items():
        rows.append(_row(f"{reader} alone", examined(clips, known), set(), "OtherSpeaker"))
        for repeat in range(REPEATS):
            chosen = rng.choice(len(clips), max(6, len(clips) * 3 // 5), replace=False)
            some = examined([clips[int(n)] for n in chosen], known)
            rows.append(_row(f"{reader} alone, a part, {repeat + 1}", some, set(), "OtherSpeaker"))
    for one, other in itertools.permutations(readers, 2):
        for count in INTRUDERS:
            chosen = rng.choice(len(readers[other]), count, replace=False)
            mixture = [*list(readers[one])[:10], *(readers[other][int(n)] for n in chosen)]
            wrong = set(range(len(mixture) - count, len(mixture)))
            rows.append(_row(f"{count} of {other} among {one}", examined(mixture, known), wrong, "OtherSpeaker"))
    return rows


def examined(clips: Sequence[Utterance], known: Mapping[str, Examination]) -> list[ExaminedClip]:
    """Return clips as the judgement takes them."""
    return [
        ExaminedClip(clip.id, f"wavs/{clip.id}.flac", clip.phones, detect(clip.samples).seconds, known[clip.id])
        for clip in clips
    ]


def _row(name: str, clips: Sequence[ExaminedClip], wrong: set[int], reason: str) -> dict[str, Any]:
    judged = judge(clips, "en")
    left_out = {index for index, clip in enumerate(judged) if _has(clip, reason, "refusal")}
    told = {index for index, clip in enumerate(judged) if _has(clip, reason, "warning")} | left_out
    return {
        "set": name,
        "wrong": len(wrong),
        "found": len(wrong & left_out),
        "told": len(wrong & told),
        "right": len(clips) - len(wrong),
        "suspected": len(left_out - wrong),
        "warned": len(told - left_out - wrong),
    }


def _has(clip: JudgedClip, reason: str, severity: str) -> bool:
    return any(finding.reason == reason and finding.severity == severity for finding in clip.findings)


def totals(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return all rows together; a mixture counts as found when each of its wrong clips is."""
    mixtures = [row for row in rows if row["wrong"]]
    sums = {key: sum(row[key] for row in rows) for key in ("wrong", "found", "told", "right", "suspected", "warned")}
    return sums | {
        "foundPercent": round(100 * sums["found"] / max(1, sums["wrong"]), 1),
        "suspectedPercent": round(100 * sums["suspected"] / max(1, sums["right"]), 1),
        "sets": len(mixtures),
        "setsFound": sum(row["found"] == row["wrong"] for row in mixtures),
        "setsToldPercent": round(100 * sum(row["found"] > 0 for row in mixtures) / max(1, len(mixtures)), 1),
    }
