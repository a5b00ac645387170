"""Sentences by the trained voice, by the base alone and by the served revision, from the same seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from voice_trainer.evaluation.active import ActiveVoice
from voice_trainer.evaluation.sentence_scores import Meter, SentenceScores, Speaker, at_analysis_rate, score
from voice_trainer.evaluation.synthesis import Synthesis, Synthesiser, encode_prompt, load_synthesiser
from voice_trainer.evaluation.voice import FeaturedClip, TrainedVoice
from voice_trainer.job.base import JobBase
from voice_trainer.recordings import audio
from voice_trainer.recordings.decoding import Samples
from voice_trainer.training.networks import Encoders

Condition = Literal["voice", "active", "base"]
"""The new voice; the revision that is served now; the base without an adapter."""
SUFFIX: Mapping[Condition, str] = {"voice": "", "active": ".active", "base": ".base"}


@dataclass(frozen=True)
class SpokenSentence:
    """One sentence under each condition."""

    scores: Mapping[Condition, SentenceScores]
    sounds: Mapping[Condition, Samples]
    """At the base's sample rate."""
    files: Mapping[Condition, str]
    """In the stage's folder; empty: not to be played."""

    @property
    def voice(self) -> SentenceScores:
        """The new voice's scores."""
        return self.scores["voice"]


class Speakers:
    """Speaks under each condition, and writes what people are to hear.

    The new voice and the base alone have the new voice's prompt, the served revision has its own, as when it is served.
    """

    def __init__(  # noqa: PLR0917 -- one call, each of its own type
        self,
        base: JobBase,
        voice: TrainedVoice,
        encoders: Encoders,
        clip: FeaturedClip,
        language: str,
        seed: int,
        active: ActiveVoice | None = None,
        *,
        locale: str = "",
    ) -> None:
        """Use ``clip`` as the prompt; without an active revision there are two conditions."""
        self.prompt = encode_prompt(base, voice.networks, encoders, clip, language)
        adapted = load_synthesiser(base, voice.networks, encoders, self.prompt, language, seed, locale=locale)
        with voice.without_adapter():
            alone = encode_prompt(base, voice.networks, encoders, clip, language)
        self.rate = adapted.sample_rate
        as_is: Callable[[], AbstractContextManager[None]] = nullcontext
        self._conditions: dict[Condition, tuple[Synthesiser, Callable[[], AbstractContextManager[None]]]] = {
            "voice": (adapted, as_is)
        }
        if active is not None:
            served = replace(adapted, networks=active.voice.networks, prompt=active.prompt)
            self._conditions["active"] = served, as_is
        self._conditions["base"] = replace(adapted, prompt=alone), voice.without_adapter

    def speak(self, text: str) -> dict[Condition, Synthesis]:
        """Return a sentence under each condition."""
        spoken: dict[Condition, Synthesis] = {}
        for condition, (synthesiser, within) in self._conditions.items():
            with within():
                spoken[condition] = synthesiser.synthesize(text)
        return spoken

    def waveforms(self, text: str) -> dict[Condition, Samples]:
        """Return the samples alone."""
        return {condition: one.samples for condition, one in self.speak(text).items()}

    def measured(self, texts: Iterable[str], meter: Meter, speaker: Speaker) -> list[SpokenSentence]:
        """Speak and measure sentences; measuring goes on beside speaking."""
        spoken: list[tuple[str, dict[Condition, Synthesis]]] = []

        def waves() -> Iterator[Samples]:
            for text in texts:
                sentence = self.speak(text)
                spoken.append((text, sentence))
                yield from (at_analysis_rate(one, self.rate) for one in sentence.values())

        measures = iter(list(meter.measure_all(waves())))
        language = meter.language
        return [
            SpokenSentence(
                {
                    name: score(text, one, self.rate, next(measures), speaker, language)
                    for name, one in sentence.items()
                },
                {name: one.samples for name, one in sentence.items()},
                {},
            )
            for text, sentence in spoken
        ]

    def write(self, folder: Path, name: str, sounds: Mapping[Condition, Samples]) -> dict[Condition, str]:
        """Write a sentence under each condition into ``samples/``; return the files' names."""
        files = {condition: f"samples/{name}{SUFFIX[condition]}.flac" for condition in sounds}
        for condition, samples in sounds.items():
            audio.write_flac(folder / files[condition], samples, self.rate)
        return files
