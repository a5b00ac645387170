"""What is measured of clips, and the bounds: one that warns, and one that leaves the clip out.

The one table that the judgement, the report and docs/recordings.md are made from. How the bounds were chosen:
docs/decisions/0046-recordings-are-judged-before-a-gpu.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal


@dataclass(frozen=True)
class Measure:
    """A property of a clip, and when it is bad."""

    key: str  # in recordings.json
    title: str
    unit: str
    better: Literal["higher", "lower"]
    warn: float | None  # beyond it a person is told; None: never
    refuse: float | None  # beyond it the clip is left out; None: never for this alone
    reason: str  # CamelCase, of the finding
    sentence: str  # what is wrong, with its {value}
    remedy: str
    decimals: int = 1

    def severity(self, value: float) -> Literal["warning", "refusal"] | None:
        """Return what a value means; None: nothing."""
        if self._is_beyond(value, self.refuse):
            return "refusal"
        return "warning" if self._is_beyond(value, self.warn) else None

    def explain(self, value: float) -> str:
        """Return a sentence with the value, the bound that it misses, and the remedy."""
        bound = self.refuse if self.severity(value) == "refusal" else self.warn
        limit = "" if bound is None else f"{'at least' if self.better == 'higher' else 'at most'} {self.shown(bound)}"
        return f"{self.sentence.format(value=self.shown(value))} ({limit}); {self.remedy}"

    def shown(self, value: float) -> str:
        """Return a value as people read it."""
        return f"{value:.{self.decimals}f} {self.unit}".strip()

    def _is_beyond(self, value: float, bound: float | None) -> bool:
        if bound is None:
            return False
        return value < bound if self.better == "higher" else value > bound


CLIPPED = Measure(
    "clippedPercent", "clipped samples", "%", "lower", 0.2, 2.0, "ClippedClip",
    "{value} of its samples are at the peak", "record it with less gain", decimals=2,
)  # fmt: skip
SNR = Measure(
    "snrDb", "signal-to-noise ratio", "dB", "higher", 15.0, 1.0, "NoisyClip",
    "its speech is {value} above its noise", "record it in a quiet room",
)  # fmt: skip
OVERALL = Measure(
    "overall", "DNSMOS overall", "", "higher", 2.0, 1.5, "PoorSound",
    "listeners would rate its sound {value} of 5", "record it closer to the microphone, in a quiet room", decimals=2,
)  # fmt: skip
BANDWIDTH = Measure(
    "bandwidthHz", "bandwidth", "Hz", "higher", 7000.0, 3000.0, "NarrowBand",
    "it has nothing above {value}, as after a telephone", "record it again, or find what it was made from",
    decimals=0,
)  # fmt: skip
REVERBERATION = Measure(
    "decaySeconds", "decay by 60 dB", "s", "lower", 0.24, None, "ReverberantClip",
    "its sounds take {value} to decay, as in a room that rings", "record it closer to the microphone",
    decimals=2,
)  # fmt: skip
HUM = Measure(
    "humDb", "mains hum", "dB", "lower", -30.0, -6.0, "MainsHum",
    "the hum of the mains is at {value} of its speech", "keep cables and power supplies away from the microphone",
)  # fmt: skip
MUSIC = Measure(
    "steadyTones", "steady tones", "", "lower", 0.15, 0.35, "MusicInClip",
    "its sound has tones that stay, as in music or in a room that rings: {value} (correlation)",
    "record it without music", decimals=2,
)  # fmt: skip
SPEAKER = Measure(
    "speakerSimilarity", "likeness of the voice", "", "higher", 0.78, 0.7, "OtherSpeaker",
    "its voice is like that of the other clips by {value} only (cosine)", "use clips of one speaker", decimals=2,
)  # fmt: skip
AGREEMENT = Measure(
    "voiceAgreement", "agreement within the clip", "", "higher", 0.75, 0.7, "TwoSpeakers",
    "the voices before and after a moment in it are alike by {value} only (cosine), as two people's",
    "cut it where another person begins", decimals=2,
)  # fmt: skip
TEXT = Measure(
    "textMargin", "fit of the text", "SD", "higher", 2.5, 1.5, "WrongText",
    "its text fits the sound {value} better than the texts of other clips", "write what is said in it",
)  # fmt: skip
TEXT_ERRORS = Measure(
    "textErrors", "wrong characters", "%", "lower", 45.0, 60.0, "WrongText",
    "a recogniser writes {value} of its text otherwise", "write what is said in it", decimals=0,
)  # fmt: skip
RATE_LOW = Measure(
    "speakingRate", "speaking rate, at least", "of the usual", "higher", 0.3, 0.15, "TextTooShort",
    "its text is spoken at {value} rate of the language", "write all that is said in it", decimals=2,
)  # fmt: skip
RATE_HIGH = Measure(
    "speakingRate", "speaking rate, at most", "of the usual", "lower", 1.5, 2.4, "TextTooLong",
    "its text is spoken at {value} rate of the language", "write only what is said in it", decimals=2,
)  # fmt: skip
RATE_RATIO = Measure(
    "rateRatio", "speaking rate, beside the others", "times", "lower", 1.8, None, "WrongText",
    "its text has {value} as many or as few phones a second as the others", "write what is said in it",
)  # fmt: skip
SAME_SOUND = Measure(
    "sameSound", "agreement of fingerprints", "", "lower", 0.7, None, "SameSound",
    "its sound is that of another clip (fingerprints agree by {value})", "keep one of the two", decimals=2,
)  # fmt: skip

# Voice and words are not judged by a sound that is left out for itself.
NEED_SOUND: Final = (SPEAKER, AGREEMENT, TEXT, TEXT_ERRORS, RATE_RATIO)
# What is no longer in a clip once its noise is removed; only what nothing can be made of still counts then.
REMOVED_WITH_NOISE: Final = (SNR, HUM)

MEASURES: Final = (
    CLIPPED, SNR, OVERALL, BANDWIDTH, REVERBERATION, HUM, MUSIC, SPEAKER, AGREEMENT, TEXT, TEXT_ERRORS, RATE_LOW,
    RATE_HIGH, RATE_RATIO, SAME_SOUND,
)  # fmt: skip
