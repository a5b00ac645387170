"""What voices must reach, and whether they do; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from dev.voice_bench.measures import LONGEST, SHORTEST
from dev.voice_bench.readers import LJSPEECH

LJSPEECH_SECONDS, LIBRISPEECH_SECONDS = 300.0, 120.0
SMALLEST_GAIN = 1e-4
"""What counts as more: the last digit that is written."""


@dataclass(frozen=True)
class Target:
    """One bound on one figure; a figure that was not measured never passes."""

    name: str
    value: float | None
    bound: float
    at_most: bool

    @property
    def passed(self) -> bool:
        """Whether the figure lies on the right side of the bound, or on it."""
        if self.value is None:
            return False
        return self.value <= self.bound if self.at_most else self.value >= self.bound

    def document(self) -> dict[str, Any]:
        """Return the target as it stands in voice.json."""
        return {**asdict(self), "passed": self.passed}


def targets_of(document: Mapping[str, Any]) -> tuple[Target, ...]:
    """Hold the figures of `summary.document_of` against every target."""
    readers: Mapping[str, Any] = document["readers"]
    ljspeech, base = readers.get(LJSPEECH), document["base_voices"][document["base_voice"]]
    spoken = [speech for speech in (document, base) if speech["noisy_tail_rate"] is not None]
    ratios = [speech["duration_ratio"] for speech in spoken]
    tails = [speech["noisy_tail_rate"] for speech in spoken]
    others = [one["train_seconds"] for name, one in readers.items() if name != LJSPEECH]
    own, before = document["similarity"]["own"], document["similarity"]["without_adapter"]
    gain = None if own is None else round(own - before, 4)
    return (
        Target("closed set, LoRA voices", document["closed_set"], 0.9, at_most=False),
        Target("word error, the base's best own voice", document["wer"]["base"], 0.3, at_most=True),
        Target("word error, LJSpeech LoRA voice", ljspeech and ljspeech["wer"]["lora"], 0.4, at_most=True),
        Target("own speaker is the nearest, LoRA voices", document["nearest_is_own"], 0.9, at_most=False),
        Target("similarity gained by the adapter", gain, SMALLEST_GAIN, at_most=False),
        Target("longest sentence, of the expected seconds", max(one["max"] for one in ratios), LONGEST, at_most=True),
        Target(
            "shortest sentence, of the expected seconds", min(one["min"] for one in ratios), SHORTEST, at_most=False
        ),
        Target("sentences with a tail of noise", max(tails), 0.0, at_most=True),
        Target("seconds to train LJSpeech", ljspeech and ljspeech["train_seconds"], LJSPEECH_SECONDS, at_most=True),
        Target("seconds to train a LibriSpeech reader", max(others, default=None), LIBRISPEECH_SECONDS, at_most=True),
    )
