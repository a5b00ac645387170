"""Measures of single sentences: the records between the tasks and the summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

from dev.voice_bench import measures
from dev.voice_bench.audio import RATE, Wave
from dev.voice_bench.measures import Errors
from dev.voice_bench.texts import phones_of, plain


class SpeakerEmbedding(BaseModel):
    """The speaker embedding of a recording."""

    model_config = ConfigDict(frozen=True)

    embedding: tuple[float, ...]
    """(256), of length 1."""


class Recognition(SpeakerEmbedding):
    """Results of recogniser and speaker encoder for one recording."""

    words: str
    picked: int | None
    """Of the closed set; None where none is recognised, or without a closed set."""
    phones: tuple[str, ...]
    speech_end: float
    """Seconds at which the last phone ends."""


class SpeechEnd(BaseModel):
    """The end of the text's last word in a recording, by forced alignment."""

    model_config = ConfigDict(frozen=True)

    seconds: float | None
    """None where there is no alignment."""


class Sample(SpeakerEmbedding):
    """Measures of a synthesized sentence, a recording, or its copy synthesis."""

    text: str
    recognised: str
    words: Errors
    phones: Errors
    seconds: float
    pesq: float | None = None
    stoi: float | None = None
    # the following are of sentences synthesized from text
    picked: bool | None = None
    """Whether the right sentence of the closed set was recognised."""
    duration_ratio: float | None = None
    """Of the expected seconds."""
    repeats: bool | None = None
    max_length: bool | None = None
    """Whether there was no end token."""
    trailing_noise: bool | None = None
    file: str = ""
    """Of the audio."""

    def secs(self, centroids: Mapping[str, Sequence[float]]) -> dict[str, float]:
        """The cosine to each speaker's centroid."""
        own = np.array(self.embedding)
        return {name: float(own @ np.array(centroid)) for name, centroid in centroids.items()}


class SpeakerResult(BaseModel):
    """All results of one speaker."""

    model_config = ConfigDict(frozen=True)

    speaker: str
    seen: bool
    speech_seconds: float
    train_seconds: float
    train_cpu_seconds: float
    training_loop_seconds: float
    gates_passed: bool
    """Whether a user's voice would have been published."""
    prompt: str
    """Text of the voice's prompt."""
    base_scores: dict[str, float]
    """PESQ and STOI of token-forced resynthesis without the adapter."""
    samples: dict[str, list[Sample]]
    """By condition: recording, copy_synthesis and token_forced of held-out clips; zero_shot and fine_tuned."""


class FliteResult(BaseModel):
    """All results of one of flite's voices: its own speech, and the base's, prompted by it."""

    model_config = ConfigDict(frozen=True)

    voice: str
    samples: dict[str, list[Sample]]
    """By condition: flite, base."""


def measured_recording(
    text: str, wav16: Wave, recognition: Recognition, *, pesq: float | None = None, stoi: float | None = None
) -> Sample:
    """Measures of a recording or a copy of one."""
    return Sample(
        text=text,
        recognised=recognition.words,
        words=measures.errors(plain(text).split(), recognition.words.split()),
        phones=measures.errors(phones_of(text), recognition.phones),
        seconds=len(wav16) / RATE,
        embedding=recognition.embedding,
        pesq=pesq,
        stoi=stoi,
    )


def measured_synthesis(
    sample: Sample,
    wav16: Wave,
    recognition: Recognition,
    speech_end: SpeechEnd,
    *,
    number: int,
    expected: float,
    tokens: Sequence[int],
    ended: bool,
) -> Sample:
    """Add the measures of a sentence synthesized from text.

    Args:
        sample: from `measured_recording`.
        wav16: (samples) at 16 kHz.
        recognition: with the closed set.
        speech_end: of the text, by forced alignment.
        number: of the sentence in the closed set.
        expected: seconds.
        tokens: semantic tokens; empty for speech that has none.
        ended: whether there was an end token.
    """
    level = measures.trailing_level(
        wav16, RATE, recognition.speech_end if speech_end.seconds is None else speech_end.seconds
    )
    return sample.model_copy(
        update={
            "picked": recognition.picked == number,
            "duration_ratio": sample.seconds / expected,
            "repeats": measures.repeats(tokens, recognition.phones, phones_of(sample.text)),
            "max_length": not ended,
            "trailing_noise": level is not None and level > measures.TRAILING_DECIBELS,
        }
    )
