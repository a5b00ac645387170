"""What was counted in one spoken sentence: the record between measuring and summing up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

from dev.voice_bench import measures
from dev.voice_bench.measures import Errors
from dev.voice_bench.waves import RATE, Wave
from dev.voice_bench.wording import phones_of, plain


class Voiceprint(BaseModel):
    """Whose voice a recording is."""

    model_config = ConfigDict(frozen=True)

    vector: tuple[float, ...]
    """The speaker's, (256), of length 1."""


class Heard(Voiceprint):
    """One recording as recogniser and speaker encoder have it."""

    words: str
    picked: int | None
    """Of the closed set; None where none fits, or where it was not asked for."""
    phones: tuple[str, ...]
    speech_end: float
    """Seconds at which the last phone ends."""


class Ending(BaseModel):
    """Where the last word that should have been said ends in a recording."""

    model_config = ConfigDict(frozen=True)

    seconds: float | None
    """None where the words do not fit what is heard."""


class Sample(Voiceprint):
    """A sentence as a voice said it, or a recording, or its copy."""

    text: str
    heard: str
    words: Errors
    phones: Errors
    seconds: float
    pesq: float | None = None
    stoi: float | None = None
    # what follows is known of sentences that were spoken freely
    picked: bool | None = None
    """Whether the right sentence of the closed set was heard."""
    duration_ratio: float | None = None
    """Of the expected seconds."""
    repeats: bool | None = None
    runaway: bool | None = None
    """Whether the server had to cut it off."""
    noisy_tail: bool | None = None
    file: str = ""
    """Where it can be listened to."""

    def similarities(self, centroids: Mapping[str, Sequence[float]]) -> dict[str, float]:
        """The cosine to each speaker's centroid."""
        own = np.array(self.vector)
        return {name: float(own @ np.array(centroid)) for name, centroid in centroids.items()}


class ReaderResult(BaseModel):
    """Everything about one reader."""

    model_config = ConfigDict(frozen=True)

    reader: str
    seen: bool
    speech_seconds: float
    train_seconds: float
    train_cpu_seconds: float
    training_loop_seconds: float
    gates_passed: bool
    """Whether a user's voice would have been published."""
    prompt: str
    """What is said in the clip that the voice is prompted with."""
    base_scores: dict[str, float]
    """PESQ and STOI of token-forced resynthesis without the adapter."""
    samples: dict[str, list[Sample]]
    """By kind: recording, copy_synthesis and token_forced of held-out clips; without_adapter and lora."""


class FliteResult(BaseModel):
    """Everything about one of flite's voices: its own speech, and the base's imitation of it."""

    model_config = ConfigDict(frozen=True)

    voice: str
    samples: dict[str, list[Sample]]
    """By kind: flite, base."""


def read_sample(
    text: str, wav16: Wave, heard: Heard, *, pesq: float | None = None, stoi: float | None = None
) -> Sample:
    """Count what can be counted of a recording or a copy of one."""
    return Sample(
        text=text,
        heard=heard.words,
        words=measures.errors(plain(text).split(), heard.words.split()),
        phones=measures.errors(phones_of(text), heard.phones),
        seconds=len(wav16) / RATE,
        vector=heard.vector,
        pesq=pesq,
        stoi=stoi,
    )


def spoken_sample(
    sample: Sample,
    wav16: Wave,
    heard: Heard,
    ending: Ending,
    *,
    number: int,
    expected: float,
    codes: Sequence[int],
    ended: bool,
) -> Sample:
    """Add what can be counted of a sentence spoken freely.

    Args:
        sample: from `read_sample`.
        wav16: (samples) at 16 kHz.
        heard: with the closed set.
        ending: where the words that should have been said end.
        number: of the sentence in the closed set.
        expected: seconds.
        codes: the semantic tokens; empty for speech that was not made of any.
        ended: whether the speaker ended by itself.
    """
    level = measures.tail_level(wav16, RATE, heard.speech_end if ending.seconds is None else ending.seconds)
    return sample.model_copy(
        update={
            "picked": heard.picked == number,
            "duration_ratio": sample.seconds / expected,
            "repeats": measures.repeats(codes, heard.phones, phones_of(sample.text)),
            "runaway": not ended,
            "noisy_tail": level is not None and level > measures.TAIL_DECIBELS,
        }
    )
