"""What a Whisper writes of each clip, beside the clip's own text and beside the text of the next clip."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dev.recordings_bench.speech import Utterance
from voice_trainer.recognition.error_rates import Errors, compare_texts
from voice_trainer.recognition.whisper import Whisper
from voice_trainer.recordings.measures import TEXT_ERRORS
from voice_trainer.training.threads import compute_threads


def word_rows(readers: Mapping[str, Sequence[Utterance]], folder: Path) -> list[dict[str, Any]]:
    """Return for each reader the error rates of right and of wrong texts, and what the bounds make of them."""
    torch.set_num_threads(compute_threads())
    whisper, rows = Whisper.load(folder), []
    for reader, clips in readers.items():
        started = time.process_time()
        written = [whisper.write(clip.samples, "en") for clip in clips]
        seconds = time.process_time() - started
        texts = [clip.text for clip in clips]
        right = [compare_texts(text, one.text, "en") for text, one in zip(texts, written, strict=True)]
        shifted = [compare_texts(text, one.text, "en") for text, one in zip(_shifted(texts), written, strict=True)]
        rows.append(
            {
                "reader": reader,
                "clips": len(clips),
                "cer": _rate(right, "characters"),
                "wer": _rate(right, "words"),
                **_told("right", right),
                "worstRight": round(100 * max(one.character_rate for one in right)),
                **_told("wrong", shifted),
                "bestWrong": round(100 * min(one.character_rate for one in shifted)),
                "lowestConfidence": round(min(one.confidence for one in written), 2),
                "processorSecondsPerClip": round(seconds / len(clips), 2),
            }
        )
    return rows


def _shifted(texts: Sequence[str]) -> list[str]:
    return [*texts[1:], *texts[:1]]


def _rate(errors: Sequence[Errors], what: str) -> float:
    wrong, all_of_them = (sum(getattr(one, f"{prefix}{what}") for one in errors) for prefix in ("wrong_", ""))
    return float(round(wrong / all_of_them, 3))


def _told(kind: str, errors: Sequence[Errors]) -> dict[str, int]:
    found = np.array([TEXT_ERRORS.severity(100 * one.character_rate) or "" for one in errors])
    return {f"{kind}Told": int((found != "").sum()), f"{kind}LeftOut": int((found == "refusal").sum())}
