"""Target values of voices; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from dev.voice_bench.measures import MAX_DURATION_RATIO, MIN_DURATION_RATIO
from dev.voice_bench.speakers import LJSPEECH

LJSPEECH_SECONDS, LIBRISPEECH_SECONDS = 300.0, 120.0
SMALLEST_GAIN = 1e-4
"""The last digit that is written."""


@dataclass(frozen=True)
class Target:
    """One bound on one measure, which fails where there is no value."""

    name: str
    value: float | None
    bound: float
    at_most: bool

    @property
    def passed(self) -> bool:
        """Whether the value meets the bound."""
        if self.value is None:
            return False
        return self.value <= self.bound if self.at_most else self.value >= self.bound

    def document(self) -> dict[str, Any]:
        """Return the target's entry in voice.json."""
        return {**asdict(self), "passed": self.passed}


def targets_of(document: Mapping[str, Any]) -> tuple[Target, ...]:
    """Compare the measures of `summary.document_of` with every target."""
    speakers: Mapping[str, Any] = document["speakers"]
    ljspeech, base = speakers.get(LJSPEECH), document["base_voices"][document["base_voice"]]
    spoken = [speech for speech in (document, base) if speech["trailing_noise_rate"] is not None]
    ratios = [speech["duration_ratio"] for speech in spoken]
    trailing = [speech["trailing_noise_rate"] for speech in spoken]
    others = [one["train_seconds"] for name, one in speakers.items() if name != LJSPEECH]
    own, before = document["secs"]["own"], document["secs"]["zero_shot"]
    gain = None if own is None else round(own - before, 4)
    return (
        Target("closed-set accuracy, fine-tuned voices", document["closed_set_accuracy"], 0.9, at_most=False),
        Target("word error rate, the base's best own voice", document["wer"]["base"], 0.3, at_most=True),
        Target("word error rate, fine-tuned LJSpeech", ljspeech and ljspeech["wer"]["fine_tuned"], 0.4, at_most=True),
        Target(
            "speaker identification accuracy, fine-tuned voices",
            document["speaker_identification_accuracy"],
            0.9,
            at_most=False,
        ),
        Target("SECS gained by fine-tuning", gain, SMALLEST_GAIN, at_most=False),
        Target("largest duration ratio", max(one["max"] for one in ratios), MAX_DURATION_RATIO, at_most=True),
        Target("smallest duration ratio", min(one["min"] for one in ratios), MIN_DURATION_RATIO, at_most=False),
        Target("sentences with trailing noise", max(trailing), 0.0, at_most=True),
        Target("seconds to train LJSpeech", ljspeech and ljspeech["train_seconds"], LJSPEECH_SECONDS, at_most=True),
        Target("seconds to train a LibriSpeech speaker", max(others, default=None), LIBRISPEECH_SECONDS, at_most=True),
    )
