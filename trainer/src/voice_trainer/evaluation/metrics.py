"""What evaluate measures of a voice: each metric's meaning, which direction is better, and how its mean is averaged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Better = Literal["higher", "lower", "near one"]
Source = Literal["clips", "sentences"]


@dataclass(frozen=True)
class Metric:
    """One metric; values are means over held-out clips or over sentences."""

    meaning: str
    """For people, with its range or unit."""
    better: Better
    source: Source
    """Of ``sentences`` more can be spoken where the interval is too wide; clips are as many as were held out."""
    recognised: bool = False
    """Whether it needs a recogniser of the language."""


METRICS: Final[Mapping[str, Metric]] = {
    "pesq": Metric("PESQ wide band against the recording, up to 4.64", "higher", "clips"),
    "stoi": Metric("STOI against the recording, 0 to 1", "higher", "clips"),
    "speakerSimilarity": Metric("cosine to the speaker's held-out recordings, up to 1", "higher", "sentences"),
    "cer": Metric("wrong characters, as a recogniser writes the sentence", "lower", "sentences", recognised=True),
    "wer": Metric("wrong words, as a recogniser writes the sentence", "lower", "sentences", recognised=True),
    "dnsmos": Metric("DNSMOS P.835, overall, 1 to 5", "higher", "sentences"),
    "durationRatio": Metric("speaking time over what the speaker would take", "near one", "sentences"),
    "noEndTokenRate": Metric("share of sentences that were cut off without an end", "lower", "sentences"),
    "repetitionRate": Metric("share of sentences with a run of tokens over and over", "lower", "sentences"),
    "longestPause": Metric("longest pause inside a sentence, seconds", "lower", "sentences"),
}
"""All of them, in the order of the report; tests/contract holds the API's names against these."""


def is_measured(metric: str, *, recognised: bool) -> bool:
    """Return whether a voice has this metric, in a language that a recogniser knows or does not."""
    return recognised or not METRICS[metric].recognised
